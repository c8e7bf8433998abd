"""Opening databases: first use, other schemas, and everything that can be wrong with a file or a server."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url

from nftlab.errors import DatabaseError, OutageError, SchemaError
from nftlab.speeds import Speed
from nftlab.store import SCHEMA, Queue, default_url, jobs, known, launch, launched, open_db, remember, status, upgrade
from nftlab.store.engine import _engine
from nftlab.store.session import session
from nftlab.store.tables import metadata
from nftlab.store.url import parse
from tests.store.jobtable import ANN, CODE, at_once, make_sweep, sql

NOBODY = 65534


def test_reading_where_nothing_is_creates_nothing(tmp_path: Path) -> None:
    assert open_db(f"sqlite:///{tmp_path / 'db' / 'none.sqlite'}", create=False) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.sqlite").touch()
    assert open_db(str(tmp_path / "empty.sqlite"), create=False) is None
    assert [file.name for file in tmp_path.iterdir()] == ["empty.sqlite"]


def test_the_default_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NFTLAB_DB", raising=False)
    assert default_url() == f"sqlite:///{tmp_path / 'db' / 'nftlab.sqlite'}"
    assert open_db(None, create=True) is not None
    assert (tmp_path / "db" / "nftlab.sqlite").is_file()
    monkeypatch.setenv("NFTLAB_DB", "sqlite:///elsewhere.sqlite")
    assert default_url() == "sqlite:///elsewhere.sqlite"


def test_eight_processes_make_one_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'jobs.sqlite'}"
    assert at_once(8, _open, url) == [SCHEMA] * 8
    assert sorted(file.name for file in (tmp_path / "new").iterdir() if "-" not in file.name) == ["jobs.sqlite"]


def test_eight_processes_make_one_schema_on_postgres(fresh_postgres: str) -> None:
    assert open_db(fresh_postgres, create=False) is None
    assert at_once(8, _open, fresh_postgres) == [SCHEMA] * 8


def _open(_: int, url: str) -> str:
    engine = open_db(url, create=True)
    assert engine is not None
    return str(sql(engine, "SELECT version_num FROM nftlab_version")[0].version_num)


def test_migrations_build_the_tables_the_code_declares(tmp_path: Path, sqlite: Engine) -> None:
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.sqlite'}")
    metadata.create_all(declared)
    schema = "SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'nftlab_version' AND sql IS NOT NULL ORDER BY name"
    migrated, wanted = (
        {name: sorted(filter(None, re.split(r"[,\n]\s*", text))) for name, text in sql(e, schema)} for e in (sqlite, declared)
    )
    assert migrated == wanted


def test_migrations_build_the_tables_the_code_declares_on_postgres(postgres: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with postgres.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "nftlab_version", "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_head_of_the_migrations_is_the_schema_of_the_code() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from nftlab.resources import shipped

    config = Config()
    config.set_main_option("script_location", str(shipped("db")))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


def test_another_schema_is_refused_and_upgrade_says_what_it_did(tmp_path: Path, sqlite: Engine) -> None:
    url = str(sqlite.url)
    assert upgrade(url) == (SCHEMA, SCHEMA)
    assert upgrade(f"sqlite:///{tmp_path / 'new.sqlite'}") == (None, SCHEMA)
    for version, mend in (("9999", "install the newer nftlab"), ("0000", f"nftlab db upgrade --db {url}")):
        sql(sqlite, "UPDATE nftlab_version SET version_num = :version", version=version)
        for create in (True, False):
            with pytest.raises(SchemaError, match=rf"has schema {version}, this nftlab needs {SCHEMA}; {mend}"):
                open_db(url, create=create)
    sql(sqlite, "UPDATE nftlab_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match=r"has schema 9999.*install the newer nftlab"):
        upgrade(url)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_database_of_the_first_schema_is_refused_and_upgraded(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue("fresh_postgres") if kind == "postgres" else f"sqlite:///{tmp_path / 'old.sqlite'}"
    with monkeypatch.context() as then:
        then.setattr("nftlab.store.engine.SCHEMA", "0001")
        old = open_db(url, create=True)
        assert old is not None
        sql(old, "INSERT INTO sweeps VALUES ('s', 'grid', 'val/error', 'minimize', 0, 3, '', '', '{}', 0)")
        for number in range(12):
            row = f"('{number}', 's', '{number}', 0, '{{}}', 'p', 0, 3, 0)"
            sql(
                old, f"INSERT INTO jobs (job_key, sweep, trial_key, seed, config, pack_key, priority, max_retries, created_at) VALUES {row}"
            )
        assert "speeds" not in inspect(old).get_table_names()
        sql(old, "UPDATE jobs SET state = 'running', lease_until = 1e11 WHERE id = 1")
        old.dispose()
    for create in (True, False):
        with pytest.raises(SchemaError, match=rf"has schema 0001, this nftlab needs {SCHEMA}; nftlab db upgrade --db"):
            open_db(url, create=create)
    with pytest.raises(
        SchemaError, match=r"1 jobs are in training by workers that know schema 0001 only; stop the workers first, or add --yes"
    ):
        upgrade(url)
    plain = create_engine(make_url(url).set(drivername="postgresql+psycopg" if kind == "postgres" else "sqlite"))
    sql(plain, "UPDATE jobs SET lease_until = 1 WHERE id = 1")  # its worker is gone: nobody is in the way
    plain.dispose()
    assert sorted(before or "" for before, _ in at_once(4, _upgrade, url)) == ["0001", SCHEMA, SCHEMA, SCHEMA]
    new = open_db(url, create=False)
    assert new is not None
    assert len(jobs(new)) == 12
    assert len(Queue(new).claim(ANN, 20, CODE)) == 12
    remember(new, "gpu", "k", [Speed(1, "mapped", 1.0, 1.0, 1.0, 0, 0)])
    assert len(known(new, "gpu", "k")) == 1
    new.dispose()


def _upgrade(_: int, url: str) -> tuple[str | None, str]:
    return upgrade(url)


def test_optuna_may_live_in_the_same_database(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=url, study_name="s")
    engine = open_db(url, create=True)
    assert engine is not None
    launch(engine, make_sweep(), code=CODE)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert len(optuna.load_study(storage=url, study_name="s").trials) == 1
    assert status(engine)["jobs"]["queued"] == 12


def test_settings_of_every_sqlite_connection(sqlite: Engine) -> None:
    found = {name: sql(sqlite, f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1}


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one " * 40, b"\x00\x01" * 4096])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "jobs.sqlite"
    file.write_bytes(content)
    for create in (False, True):
        with pytest.raises(DatabaseError, match=r"jobs\.sqlite is not a SQLite database; move it away"):
            open_db(str(file), create=create)
    assert file.read_bytes() == content


def test_a_damaged_file(tmp_path: Path, empty_file: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    shutil.copy(empty_file, file)
    engine = open_db(str(file), create=False)
    assert engine is not None
    launch(engine, make_sweep(trials=40), code=CODE)
    engine.dispose()
    content = bytearray(file.read_bytes())
    page, jobs_root = 4096, 6
    content[page * (jobs_root - 1) : page * jobs_root] = b"\xff" * page
    file.write_bytes(content)
    engine = open_db(str(file), create=False)
    assert engine is not None
    with pytest.raises(DatabaseError, match=r"is damaged.*\.recover"):
        jobs(engine)


def test_a_locked_file_is_waited_for_and_then_reported(sqlite: Engine) -> None:
    other = sqlite3.connect(str(sqlite.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert Queue(sqlite).counts()["queued"] == 0, "readers do not wait"
    with pytest.raises(DatabaseError, match="stayed locked"), session(sqlite, patience=0.05):
        pass
    other.execute("ROLLBACK")
    other.close()
    assert Queue(sqlite).claim(ANN, 1, CODE) == []


def test_a_file_that_vanishes_and_comes_back(sqlite: Engine) -> None:
    launch(sqlite, make_sweep(), code=CODE)
    queue, file = Queue(sqlite), Path(str(sqlite.url.database))
    away = file.with_name("away")
    file.rename(away)
    for _ in range(2):  # with the connection that was open, then with a new one
        with pytest.raises(OutageError, match=r"jobs\.sqlite is gone"):
            queue.claim(ANN, 1, CODE)
    assert not file.exists()
    away.rename(file)
    assert len(queue.claim(ANN, 1, CODE)) == 1


def test_a_transaction_is_undone_as_a_whole(engine: Engine) -> None:
    launch(engine, make_sweep(), code=CODE)
    with pytest.raises(KeyError):
        _cancel_and_stumble(engine)
    assert Queue(engine).counts()["queued"] == 12


def _cancel_and_stumble(engine: Engine) -> None:
    with session(engine) as talk:
        talk.tell("cancel", [{"ids": talk.among([1, 2])}])
        talk.tell("no such sentence", [{}])


def test_a_full_disk_is_reported_and_loses_nothing(tmp_path: Path, empty_file: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    shutil.copy(empty_file, file)
    [error] = at_once(1, _write_into_a_full_disk, str(file))
    assert error.startswith("OutageError: cannot write")
    assert "free space (df -h" in error
    engine = open_db(str(file), create=False)
    assert engine is not None
    assert len(jobs(engine)) == 12


def _write_into_a_full_disk(_: int, file: str) -> None:
    engine = open_db(file, create=False)
    assert engine is not None
    launch(engine, make_sweep("small"), code=CODE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # files may not grow beyond: as if the disk were full
    launch(engine, make_sweep("large", trials=200), code=CODE)


@pytest.mark.parametrize("which", ["folder", "file"])
def test_a_place_that_may_not_be_written(empty_file: Path, which: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(empty_file, folder / "jobs.sqlite")
        (folder / "jobs.sqlite").chmod(0o444 if which == "file" else 0o666)
        folder.chmod(0o777 if which == "file" else 0o555)
        [error] = at_once(1, _as_nobody, str(folder / "jobs.sqlite"))
        assert error.startswith(f"DatabaseError: cannot open {folder}/jobs.sqlite for writing"), error
        assert "chmod -R u+w" in error
        if which == "folder":
            [error] = at_once(1, _as_nobody, str(folder / "new" / "jobs.sqlite"))
            assert error.startswith(f"DatabaseError: cannot make {folder}/new: Permission denied"), error
        folder.chmod(0o777)


def _as_nobody(_: int, file: str) -> None:
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    engine = open_db(file, create=True)
    assert engine is not None
    launch(engine, make_sweep(), code=CODE)


def test_folders_of_others(tmp_path: Path) -> None:
    """One that may be read and not written, one that may not be entered, a name too long."""
    with tempfile.TemporaryDirectory() as name:
        closed, hidden = Path(name) / "closed", Path(name) / "hidden"
        for folder, mode in ((Path(name), 0o755), (closed, 0o555), (hidden, 0o600)):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        told = at_once(1, _refused, str(closed / "new.sqlite"), True) + at_once(1, _refused, str(hidden / "x.sqlite"), False)
        Path(name).chmod(0o700)
    assert "cannot make" in told[0]
    assert "chmod u+w" in told[0]
    assert "cannot look at" in told[1]
    with pytest.raises(DatabaseError, match="cannot look at"):
        open_db(str(tmp_path / f"{'x' * 300}.sqlite"), create=False)


def _refused(_: int, file: str, create: bool) -> str:
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    with pytest.raises(DatabaseError) as caught:
        open_db(file, create=create)
    return str(caught.value)


def test_the_store_starts_without_alembic_or_torch(sqlite: Engine) -> None:
    code = (
        "import sys; from nftlab import store; "
        f"engine = store.open_db({str(sqlite.url)!r}, create=True); store.status(engine); "
        "print([name for name in ('alembic', 'torch', 'pandas', 'psycopg') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_database_of_another_program_and_a_folder_are_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE jobs (a)")
    for use in (lambda url: open_db(url, create=True), upgrade):
        with pytest.raises(SchemaError, match="no job table of nftlab, but tables of the same names: jobs"):
            use(str(tmp_path / "other.sqlite"))
    (tmp_path / "folder.sqlite").mkdir()
    for create in (True, False):
        with pytest.raises(DatabaseError, match=r"folder\.sqlite is a folder"):
            open_db(str(tmp_path / "folder.sqlite"), create=create)


def with_options(url: str, options: str) -> str:
    return make_url(url).update_query_dict({"options": options}).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("options", "statement", "kind", "told"),
    [
        (
            "-c default_transaction_read_only=on",
            "CREATE TABLE x (a int)",
            OutageError,
            "read-only transaction; wait for the end of a failover",
        ),
        ("-c statement_timeout=50", "SELECT pg_sleep(5)", OutageError, "SET statement_timeout = 0"),
        ("", "PREPARE twice AS SELECT 1; PREPARE twice AS SELECT 1", DatabaseError, "pool_mode = session"),
        ("-c role=pg_monitor", "SELECT * FROM jobs", DatabaseError, "GRANT ALL ON ALL TABLES IN SCHEMA public TO"),
    ],
)
def test_what_a_server_will_not_do_is_told_with_what_mends_it(
    postgres: Engine, postgres_url: str, options: str, statement: str, kind: type[DatabaseError], told: str
) -> None:
    engine = open_db(postgres_url, create=True)
    assert engine is not None
    engine.dispose()
    limited = _engine(parse(with_options(postgres_url, options) if options else postgres_url))
    with pytest.raises(kind, match=re.escape(told)), limited.connect() as connection:
        connection.exec_driver_sql(statement)
    limited.dispose()


def test_a_database_of_no_encoding_holds_a_sweep(postgres: Engine, postgres_url: str) -> None:
    admin = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS bytes")
        connection.exec_driver_sql("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    admin.dispose()
    engine = open_db(make_url(postgres_url).set(database="bytes").render_as_string(hide_password=False), create=True)
    assert engine is not None
    sweep = make_sweep(settings="  priority: 0  # → ü\n")
    launch(engine, sweep, code=CODE)
    assert launched(engine)[0]["source"] == sweep.source
    engine.dispose()
