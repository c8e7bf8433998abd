from __future__ import annotations

from pathlib import Path

from tests.cli.helpers import Invoke


def test_upgrade_makes_a_database_and_leaves_one_at_head_alone(invoke: Invoke, folder: Path) -> None:
    first, second = invoke("db", "upgrade"), invoke("db", "upgrade")
    assert "was empty" in first.stdout
    assert "was" not in second.stdout.removeprefix(f"sqlite:///{folder}")
    assert (folder / "db" / "nftlab.sqlite").is_file()


def test_check(invoke: Invoke, folder: Path) -> None:
    missing = invoke("db", "check")
    assert (missing.exit_code, missing.stdout) == (0, "")
    assert not (folder / "db").exists()
    invoke("db", "upgrade")
    assert invoke("db", "check").stdout.startswith("sqlite:///")
    (folder / "db" / "nftlab.sqlite").write_text("not a database, but long enough to be looked at" * 100)
    assert invoke("db", "check").exit_code == 69
