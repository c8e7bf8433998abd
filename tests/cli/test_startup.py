"""What answers at once must not wait for what trains: read from sys.modules, not from a clock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import Invoke

HEAVY = {"torch", "numpy", "wandb", "pandas", "matplotlib", "sklearn", "scipy", "optuna", "alembic"}
SCRIPT = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr))
sys.argv[0] = "nftlab"
from nftlab.cli import main
main()
"""


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_next_to_nothing() -> None:
    assert loaded("--help") & (HEAVY | {"sqlalchemy", "ruamel", "rich", "pydantic"}) == set()


READS = (["status"], ["job", "list"], ["sweep", "list"], ["sweep", "show", "small"], ["sweep", "verify", "small"], ["status", "--json"])


@pytest.mark.parametrize("arguments", READS)
def test_reading_a_database_at_head_loads_nothing_heavy(arguments: list[str], launched: Invoke) -> None:
    modules = loaded(*arguments)
    assert "sqlalchemy" in modules
    assert modules & HEAVY == set()


@pytest.mark.ci
def test_launching_needs_no_torch(folder: Path) -> None:
    assert loaded("sweep", "launch", "small.yaml") & (HEAVY - {"alembic"}) == set()
    assert loaded("sweep", "launch", "small.yaml") & HEAVY == set()
    assert loaded("sweep", "launch", "small.yaml", "--dry-run") & HEAVY == set()


def test_status_without_a_database(folder: Path) -> None:
    assert loaded("status") & HEAVY == set()


@pytest.mark.ci
def test_a_worker_leaves_torch_to_its_trainer(launched: Invoke) -> None:
    """It would hold 400 MB for nothing: what the trainer reports must be plain values."""
    assert loaded("worker", "--drain", "--no-wandb") & {"torch", "numpy", "wandb", "optuna"} == set()
