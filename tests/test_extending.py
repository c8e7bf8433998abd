"""docs/extending.md as it stands, in a copy of the package: what is of one's own trains, is packed and reported like what ships."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```(?:python|yaml)\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
# Where a line is to be written by hand: (file, the line there is, the line that goes after it).
LINES = [
    ("nftlab/hypers.py", 'NETWORKS = ("fc-a",', ' "small-net",'),
    ("nftlab/hypers.py", "_SMALLEST_IMAGE = {", '"small-net": 2, '),
    ("nftlab/hypers.py", "DATASETS: dict[str, DatasetShape] = {", '\n    "tumours": DatasetShape((30,), 2),'),
    ("nftlab/data/__init__.py", "from nftlab.data.embedded import Digits,", " Tumours,"),
    ("nftlab/data/__init__.py", "DATASETS: dict[str, Dataset] = {", '\n    "tumours": Tumours(),'),
]
OWN = """name: own
method: grid
metric: {name: val/error, goal: minimize}
parameters:
  dataset: {values: [digits, tumours]}
  network: {values: [small-net, fc-a]}
  epochs: {value: 3}
nftlab:
  zip: [[dataset, network]]
  seeds: 2
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy with all of it written in."""
    for part in ("nftlab", "tests", "db"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite*", "postgres"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line, after in LINES:
        text = (tmp_path / name).read_text()
        assert text.count(line) == 1
        (tmp_path / name).write_text(text.replace(line, line + after))
    for block in BLOCKS:
        if block.startswith("name:"):
            (tmp_path / "first-blur.yaml").write_text(block)
            continue
        file = tmp_path / block.partition("\n")[0].removeprefix("# ")
        before = file.read_text() if file.exists() else ""
        file.write_text(before + "\n\n" + block)
    (tmp_path / "own.yaml").write_text(OWN)
    return tmp_path


def run(checkout: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.ci
def test_what_the_document_adds_is_swept_trained_and_counted(checkout: Path) -> None:
    nftlab = ("-m", "nftlab")
    assert "3 configurations × 3 seeds = 9 jobs" in run(checkout, *nftlab, "sweep", "launch", "first-blur.yaml", "--dry-run")
    for name, count in (("first-blur", 9), ("own", 4)):
        assert json.loads(run(checkout, *nftlab, "sweep", "launch", f"{name}.yaml", "--json"))["jobs_added"] == count
    run(checkout, *nftlab, "worker", "--drain", "--no-wandb")
    for name in ("first-blur", "own"):
        run(checkout, *nftlab, "sweep", "verify", name)
    run(checkout, *nftlab, "data", "verify", "tumours")


@pytest.mark.ci
def test_the_contracts_pick_it_up(checkout: Path) -> None:
    """Alone equals in a pack, resumed equals uninterrupted: of the method on every quick network, of the network with every method."""
    tests = ("tests/train/test_equality.py", "tests/data/test_contract.py")
    told = run(checkout, "-m", "pytest", "-vv", "-m", "not ci", "-k", "blur or small-net or tumours", *tests)
    assert {name for name in ("blur", "small-net", "tumours") if re.search(rf"\[\S*{name}\S*\] PASSED", told)} == {
        "blur",
        "small-net",
        "tumours",
    }
