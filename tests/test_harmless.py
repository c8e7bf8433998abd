from __future__ import annotations

import pytest

from nftlab.harmless import masked, no_formula, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host:5432/lab", "postgresql://me:***@host:5432/lab"),
        ("postgresql+psycopg://me:s/e@c:ret@host/lab", "postgresql+psycopg://me:***@host/lab"),
        ("postgresql://me:sec ret%40@host/lab", "postgresql://me:***@host/lab"),
        ("postgresql://me:sec\nret@host/lab", "postgresql://me:***@host/lab"),
        ("postgresql://me@corp:secret@host/lab", "postgresql://me@corp:***@host/lab"),
        ("postgresql://a b:secret@host/lab", "postgresql://a b:***@host/lab"),
        ("postgresql://host/lab?user=me&password=secret&sslmode=require", "postgresql://host/lab?user=me&password=***&sslmode=require"),
        ("postgresql://host/lab?Password=sec ret", "postgresql://host/lab?Password=***"),
        ("postgresql://host/lab?sslpassword=secret&passfile=f", "postgresql://host/lab?sslpassword=***&passfile=f"),
        ("postgresql://host/lab?passwd=secret", "postgresql://host/lab?passwd=***"),
        ("postgresql://host/lab?pasword=secret&passfile=f", "postgresql://host/lab?pasword=***&passfile=f"),
        ("user=me password=sec ret host=host", "user=me password=***"),
        ("postgresql://me:***@host:5432/lab: role me@corp is unknown", "postgresql://me:***@host:5432/lab: role me@corp is unknown"),
        ("postgresql://host/lab?password=***: no such role", "postgresql://host/lab?password=***: no such role"),
        ("postgresql://me@host/lab", "postgresql://me@host/lab"),
        ("sqlite:////tmp/a:b@c.sqlite", "sqlite:////tmp/a:b@c.sqlite"),
        ("lab.sqlite", "lab.sqlite"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    assert masked(text) == masked(shown) == shown


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("postgresql://me:sec ret@host/lab", "postgresql://me:***@host/lab"),
        ("--db=postgresql://me:secret@host/lab", "--db=postgresql://me:***@host/lab"),
        ("postgresql://host/lab?password=sec&ret", "postgresql://host/lab?password=***"),
        ("postgresql://me@host/lab", "postgresql://me@host/lab"),
        ("--api-key=a bc", "--api-key=***"),
        ("--drain", "--drain"),
    ],
)
def test_command_lines_are_recorded_without_secrets(word: str, shown: str) -> None:
    assert without_secrets(word) == without_secrets(shown) == shown


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-A1", "@SUM(A1)", "\tx", "\rx", "--", "-1+2", "=1"])
def test_a_formula_becomes_a_text(text: str) -> None:
    assert no_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["FC-A", "-0.5", "+1e-3", "a=b", "", -0.5, 3, None, True])
def test_other_fields_stay_as_they_are(value: object) -> None:
    assert no_formula(value) is value
