"""The demo around its training, which `make demo` runs in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.store import Queue, open_db
from tests.cli.helpers import Invoke, finish_all, read


@pytest.fixture
def trained(invoke: Invoke) -> Invoke:
    """The command, in a folder where the demo's jobs are done."""
    assert invoke("sweep", "launch", "nft/quick").exit_code == 0
    engine = open_db(None, create=False)
    assert engine is not None
    finish_all(Queue(engine))
    return invoke


def test_a_second_time_it_prints_at_once(trained: Invoke, folder: Path) -> None:
    result = trained("demo")
    assert result.exit_code == 0
    assert "6.00 ± 0.00" in result.stdout
    for told in ("0 jobs added, 12 known", "reports/out/nft/quick.html", "nftlab worker --drain", f"sqlite:///{folder}"):
        assert told in result.stderr
    assert not (folder / "runs").exists()


def test_as_json(trained: Invoke) -> None:
    found = read(trained("demo", "--json"))
    assert (found["sweep"], found["jobs_added"], found["jobs_known"]) == ("quick-nft", 0, 12)
    assert {cell["n"] for cell in found["cells"]} == {3}


def test_holes_exit_1(trained: Invoke) -> None:
    trained("sweep", "launch", "nft/quick", "--rerun", "--yes")
    trained("job", "cancel", "--seed", "2")
    trained("job", "cancel", "--sweep", "quick-nft")
    result = trained("demo")
    assert result.exit_code == 1
    assert "12 cancelled" in trained("sweep", "verify", "quick-nft").stdout
    assert "nftlab job list" in result.stderr


def test_it_leaves_the_jobs_of_others_alone(launched: Invoke) -> None:
    result = launched("demo")
    assert result.exit_code == 2
    assert "small" in result.stderr
    assert [sweep["sweep"] for sweep in read(launched("sweep", "list", "--json"))] == ["small"]
