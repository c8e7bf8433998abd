"""docs/extending.md as it stands, in a copy of the package: what is of one's own trains, is packed and reported like what ships."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```(?:python|yaml)\n(.*?)```", DOCUMENT, re.DOTALL)
BEFORE = '    if config.get("augment") == "crop-flip" and not images:'  # in misfits
# Where a line is to be written by hand: (file, what is there, what goes after it).
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
    for part in ("nftlab", "tests", "db", "docs"):
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
        name, _, place = block.partition("\n")[0].removeprefix("# ").partition(": ")
        file = tmp_path / name
        text = file.read_text() if file.exists() else ""
        assert not place or text.count(BEFORE) == 1
        file.write_text(text.replace(BEFORE, block + BEFORE) if place else f"{text}\n\n{block}")
    (tmp_path / "own.yaml").write_text(OWN)
    return tmp_path


def run(checkout: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("NFTLAB_", "WANDB_"))}
    environment = {**outside, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.mark.ci
def test_what_the_document_adds_is_swept_trained_and_counted(checkout: Path) -> None:
    launch = ("-m", "nftlab", "sweep", "launch")
    assert "3 configurations × 3 seeds = 9 jobs" in run(checkout, *launch, "first-blur.yaml", "--dry-run").stdout
    (checkout / "misfit.yaml").write_text((checkout / "first-blur.yaml").read_text().replace("digits", "tumours"))
    assert "blur needs images, tumours has vectors" in run(checkout, *launch, "misfit.yaml", "--dry-run", code=78).stderr
    for name, count in (("first-blur", 9), ("own", 4)):
        assert json.loads(run(checkout, *launch, f"{name}.yaml", "--json").stdout)["jobs_added"] == count
    run(checkout, "-m", "nftlab", "worker", "--drain", "--no-wandb")
    for name in ("first-blur", "own"):
        run(checkout, "-m", "nftlab", "sweep", "verify", name)
    run(checkout, "-m", "nftlab", "data", "verify", "tumours")


@pytest.mark.ci
def test_the_page_of_parameters_is_written_anew(checkout: Path) -> None:
    page = ("-m", "pytest", "tests/test_parameter_page.py")
    assert "python docs/parameters.py" in run(checkout, *page, code=1).stdout
    run(checkout, "docs/parameters.py")
    run(checkout, *page)


@pytest.mark.ci
def test_the_contracts_pick_it_up(checkout: Path) -> None:
    """Every test of training and data that names one of the three, among them: alone equals in a pack, resumed equals uninterrupted.

    By the document's command, which leaves out what not every machine can run.
    """
    ours = "blur or small-net or tumours"
    (command,) = re.findall(r"`python (-m pytest .* -k )blur`", DOCUMENT)
    told = run(checkout, *shlex.split(command), ours, "-vv").stdout
    assert "test_cuda" not in told
    found = {name for name in ours.split(" or ") if re.search(rf"test_(equality|contract)\S*\[\S*{name}\S*\] PASSED", told)}
    assert found == set(ours.split(" or "))
