"""What a user writes for a database: read as it is meant, shown without its secrets, refused without a word of it where it is unclear."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from nftlab.errors import DatabaseError, UsageError
from nftlab.harmless import masked
from nftlab.store import open_db, shown
from nftlab.store.url import parse


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@host/lab", "postgresql://me:***@host/lab"),
        ("postgresql+psycopg://me:sec ret%40@host:1/lab", "postgresql://me:***@host:1/lab"),
        ("postgresql://me:sec\nret@host/lab", "postgresql://me:***@host/lab"),
        ("postgresql://me@corp:secret@host/lab", "postgresql://me%40corp:***@host/lab"),
        ("postgresql://host/lab?user=me&password=secret", "postgresql://host/lab?password=***&user=me"),
        ("postgresql://host/lab?PassWord=secret&sslpassword=secret", "postgresql://host/lab?PassWord=***&sslpassword=***"),
        ("postgresql://host/lab?passwd=secret&pwd=secret&pass=secret", "postgresql://host/lab?pass=***&passwd=***&pwd=***"),
        ("postgresql://host/lab?password=secret&password=secret", "postgresql://host/lab?password=***"),
        ("postgresql://host/lab?passfile=file", "postgresql://host/lab?passfile=file"),
        ("postgresql://host/lab?pasword=secret&sslmode=require", "postgresql://host/lab?pasword=***&sslmode=require"),
        ("sqlite:////data/lab.sqlite", "sqlite:////data/lab.sqlite"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, said: str) -> None:
    assert shown(url) == said


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "://", "nonsense://x"])
def test_other_kinds_of_database(url: str) -> None:
    with pytest.raises(UsageError, match=r"sqlite:///PATH"):
        open_db(url, create=True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("foo://bar", "foo://bar"),
        ("sqlite://x.db", "sqlite://x.db"),
        ("mysql://host:3306/lab", "mysql://host:3306/lab"),
        ("mysql://me:secret@host:3306/lab", "mysql://me:***@host:3306/lab"),
        ("mysql://host/lab?password=secret", "mysql://host/lab?password=***"),
    ],
)
def test_of_another_kind_the_whole_sentence_is_read(url: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_db(url, create=True)
    what = "the job table is a SQLite file or a Postgres database"
    assert masked(str(caught.value)) == f"{what}; write sqlite:///PATH or postgresql://USER@HOST/NAME, not {said}"


@pytest.mark.parametrize(
    "written",
    [
        "postgresql://me:secret@localhost:port/lab",
        " postgresql://me:secret@localhost/lab",
        "postgres//me:secret@localhost/lab",
        "postgresql:/me:secret@localhost/lab",
        "postgresql:me:secret@localhost/lab",
        "Postgres:/me:secret@localhost/lab",
        "mysql:/me:secret@localhost/lab",
        "//me:secret@localhost/lab",
        "me:secret@localhost/lab",
        "user=me password=secret",
        " user = me password = secret",
        "sqlite://me:secret@host/lab.sqlite",
        "sqlite://me:sec@ret@secret/lab.sqlite",
    ],
)
def test_what_is_nearly_a_url_is_no_name_of_a_file_and_not_shown(written: str) -> None:
    with pytest.raises(UsageError, match=r"write .*sqlite:///PATH or postgresql://USER@HOST") as caught:
        open_db(written, create=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("rest", ["me:sec@secret@host/lab", "me:sec@ret/secret@host/lab", "me/secret@host/lab", "me:s?c@secret@host/lab"])
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_an_at_in_a_password_is_refused_with_how_to_write_it(kind: str, rest: str) -> None:
    with pytest.raises(UsageError, match="write @ in a password as %40") as caught:
        open_db(f"{kind}://{rest}", create=False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "rest", ["me@host/lab%40home", "me:s%40c/r?t@[::1]:5/lab", "/lab?host=@abstract", "me@corp:x@host/lab", "host?user=a@b"]
)
def test_an_at_where_it_may_stand(rest: str) -> None:
    assert parse(f"postgresql://{rest}") == make_url(f"postgresql+psycopg://{rest}")


@pytest.mark.parametrize(
    "path",
    [
        "lab.sqlite",
        "postgres.sqlite",
        "postgres/lab.sqlite",
        "./a=b/x.sqlite",
        "db/lr=0.1/x.sqlite",
        "a b@home.sqlite",
        "/tmp/a:b@c",
        "~/x",
    ],
)
def test_a_path_is_a_file(path: str) -> None:
    assert parse(path).database == str(Path(path).expanduser().absolute())
    assert parse(f"sqlite:///{path}") == parse(path)


@pytest.mark.parametrize("path", ["a=b/x.sqlite", "postgres@home/x.sqlite", "x:/y"])
def test_any_other_file_is_reached_by_a_url(path: str) -> None:
    assert parse(f"sqlite:///{path}") == parse(f"./{path}")


def test_a_parameter_that_postgres_does_not_know(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"pasword": "secret"}).render_as_string(hide_password=False)
    with pytest.raises(UsageError, match=r"pasword.*passfile=FILE") as caught:
        open_db(url, create=False)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there(postgres_url: str) -> None:
    with pytest.raises(DatabaseError, match=r"cannot reach postgresql://me:\*\*\*@.*Connection refused.*start the server") as caught:
        open_db("postgresql://me:sec ret@127.0.0.1:1/lab?sslpassword=secret", create=True)
    assert "sec" not in str(caught.value)
    with pytest.raises(DatabaseError, match=r'database "nowhere" does not exist.*createdb'):
        open_db(make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False), create=False)
