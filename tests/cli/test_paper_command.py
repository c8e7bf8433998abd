"""A paper's tables and figures: what they take, a scaled-down copy from launch to printed table, and pictures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from nftlab.store import Queue, open_db
from tests.cli.helpers import Invoke, finish_all, read
from tests.cli.test_startup import HEAVY, loaded
from tests.store.jobtable import sql

PAPER = 'title: "A paper of mine"\nitems:\n  table1: {sweeps: [moons], about: half circles}\n'
SWEEP = """# nftlab sweep launch sweeps/mine/moons.yaml
# 2 jobs
# cost: seconds
method: grid
parameters:
  dataset: {value: two-moons}
  algorithm: {values: [ct, nft]}
  epochs: {value: 40}
  batch_size: {value: 64}
  lr: {value: 0.01}
"""
REPORT = """title: Moons
rows: {algorithm: {CT: ct, NFT: nft}}
columns: {dataset: [two-moons]}
sweeps: [mine/moons]
seeds: 1
figure: {picture: boundary, epochs: [1, 40]}
"""
SMALL = ("paper", "mine", "table1", "--scale", "0.1")


@pytest.fixture
def mine(folder: Path) -> Path:
    """A paper is a folder of sweeps and one of reports."""
    for kind, files in (("reports", {"paper": PAPER, "table1": REPORT}), ("sweeps", {"moons": SWEEP})):
        (folder / kind / "mine").mkdir(parents=True)
        for name, text in files.items():
            (folder / kind / "mine" / f"{name}.yaml").write_text(text)
    return folder


def test_the_list_tells_jobs_states_and_cost(invoke: Invoke, mine: Path) -> None:
    (item,) = read(invoke("paper", "mine", "--list", "--json"))["items"]
    assert [item[key] for key in ("item", "report", "jobs", "done", "queued")] == ["table1", "mine/table1", 2, 0, 0]
    assert item["sweeps"] == [{"sweep": "mine/moons", "file": "sweeps/mine/moons.yaml", "jobs": 2, "states": {}, "cost": "seconds"}]
    assert item["forecast"]["unknown_jobs"] == 2
    assert invoke("sweep", "launch", "sweeps/mine/moons.yaml").exit_code == 0
    (item,) = read(invoke("paper", "mine", "--list", "--json"))["items"]
    assert (item["done"], item["queued"]) == (0, 2)
    assert invoke("paper", "mine", "--list").stdout.splitlines()[1].split("\t") == [
        "table1",
        "2",
        "0",
        "2",
        "0",
        "0",
        "half circles",
        "seconds",
    ]


def test_jobs_that_were_given_up_are_told_and_those_no_longer_asked_for_are_not(invoke: Invoke, mine: Path) -> None:
    assert invoke("paper", "mine", "table1", "--launch").exit_code == 0
    assert invoke("job", "cancel", "--sweep", "mine/moons", "--where", "algorithm=ct").exit_code == 0
    told = invoke("paper", "mine", "table1")
    assert "mine/moons\t2\t0\t1\t0\t1\t" in told.stdout
    assert "1 jobs of mine/moons were given up" in told.stderr
    engine = open_db(None, create=False)
    assert engine is not None
    for before, state in pairwise(("cancelled", "failed", "quarantined")):
        sql(engine, "UPDATE jobs SET state = :state WHERE state = :before", state=state, before=before)
        assert "mine/moons\t2\t0\t1\t0\t1\t" in invoke("paper", "mine", "table1").stdout
    file = mine / "sweeps" / "mine" / "moons.yaml"
    file.write_text(SWEEP.replace("epochs: {value: 40}", "epochs: {value: 30}"))
    assert "mine/moons\t2\t0\t0\t0\t0\t" in invoke("paper", "mine", "table1").stdout
    assert "table1 --launch" in invoke("paper", "mine", "table1").stderr


def test_the_shipped_paper_is_listed_whole(invoke: Invoke) -> None:
    items = {item["item"]: item for item in read(invoke("paper", "nft", "--list", "--json"))["items"]}
    assert {"table1", "table2", "student-table3", *(f"figure{n}" for n in (1, 3, 4, 5, 6, 7, 8, 9, 10))} <= items.keys()
    assert (items["table1"]["jobs"], items["table1-search"]["jobs"], items["figure3"]["jobs"]) == (240, 24900, 36)


def test_the_cost_of_one_sweep_does_not_pass_for_that_of_all(invoke: Invoke, mine: Path) -> None:
    folder = mine / "sweeps" / "mine"
    (mine / "reports" / "mine" / "paper.yaml").write_text(PAPER.replace("[moons]", "[moons, more, same, plain]"))
    for name, cost in (("more", "# cost: not measured yet"), ("same", "# cost: seconds"), ("plain", "# no word of it")):
        (folder / f"{name}.yaml").write_text(SWEEP.replace("# cost: seconds", cost))
    told = "mine/moons (2 jobs): seconds; mine/same (2 jobs): seconds; 4 of 8 jobs not measured yet"
    assert invoke("paper", "mine", "--list").stdout.splitlines()[1].endswith(f"\t{told}")
    assert f"cost: {told}\n" in invoke("paper", "mine", "table1").stdout
    (mine / "reports" / "mine" / "paper.yaml").write_text(PAPER.replace("[moons]", "[more, plain]"))
    assert "cost: not measured yet\n" in invoke("paper", "mine", "table1").stdout


def test_without_launch_nothing_is_changed(invoke: Invoke, mine: Path) -> None:
    before = sorted(mine.rglob("*"))
    result = invoke(*SMALL)
    assert result.exit_code == 0
    assert "Moons (scaled down to 0.1)" in result.stdout
    assert "mine/moons-at-0.1\t2\t0" in result.stdout
    assert "next: nftlab paper mine table1 --scale 0.1 --launch" in result.stderr
    assert sorted(mine.rglob("*")) == before


def test_launching_many_asks_first(invoke: Invoke) -> None:
    result = invoke("paper", "nft", "table1", "--launch")
    assert result.exit_code == 2
    assert "240 jobs needs a yes" in result.stderr
    added = read(invoke("paper", "nft", "table1", "--launch", "--yes", "--json"))
    assert (added["launched"], added["queued"], added["rendered"]) == ({"jobs_added": 240, "jobs_known": 0}, 240, None)
    again = read(invoke("paper", "nft", "table1", "--launch", "--yes", "--json"))
    assert again["launched"] == {"jobs_added": 0, "jobs_known": 240}


def test_a_scaled_table_and_the_full_one_stay_apart(invoke: Invoke, mine: Path) -> None:
    launched = read(invoke(*SMALL, "--launch", "--json"))
    assert launched["launched"] == {"jobs_added": 2, "jobs_known": 0}
    engine = open_db(None, create=False)
    assert engine is not None
    finish_all(Queue(engine))
    told = read(invoke(*SMALL, "--json"))
    assert (told["done"], told["rendered"]["scale"], {cell["n"] for cell in told["rendered"]["cells"]}) == (2, 0.1, {1})
    full = read(invoke("paper", "mine", "table1", "--json"))
    assert (full["done"], full["rendered"]) == (0, None)
    assert "nftlab picture mine/table1 --scale 0.1" in invoke(*SMALL).stderr
    assert (mine / "reports" / "out" / "mine" / "table1-at-0.1.html").is_file()


@pytest.mark.ci
def test_from_the_paper_to_its_table_through_a_real_worker(invoke: Invoke, mine: Path) -> None:
    assert invoke(*SMALL, "--launch").exit_code == 0
    assert invoke("worker", "--drain", "--no-wandb", "--device", "cpu").exit_code == 0
    assert invoke("sweep", "verify", "mine/moons-at-0.1").exit_code == 0
    told = read(invoke(*SMALL, "--json"))["rendered"]
    assert [cell["config"]["epochs"] for cell in told["cells"]] == [5, 5]
    assert all(0 <= cell["mean"] <= 100 for cell in told["cells"])
    for suffix in ("md", "tex", "html"):
        text = (mine / "reports" / "out" / "mine" / f"table1-at-0.1.{suffix}").read_text()
        assert "scaled down to 0.1" in text
        assert "Not the published experiment" in text
    shown = read(invoke("picture", "mine/table1", "--scale", "0.1", "--json"))
    assert [one["epochs"] for one in shown["shown"]] == [[1, 4], [1, 4]]
    assert Path(shown["files"]["png"]).stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nft"], 2),
        (["nft", "table1", "--list"], 2),
        (["nft", "--list", "--launch"], 2),
        (["nft", "table1", "--scale", "0"], 2),
        (["nft", "tabel1"], 66),
        (["ntf", "--list"], 66),
        (["ntf"], 66),
        (["ntf", "--list", "--launch"], 66),
        (["../nft", "--list"], 66),
    ],
)
def test_wrong_calls(arguments: list[str], code: int, invoke: Invoke) -> None:
    result = invoke("paper", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")


def test_a_paper_that_does_not_exist_names_those_that_do(invoke: Invoke) -> None:
    assert "no paper 'ntf' (did you mean 'nft'?); known are: fine-pruning, nft" in invoke("paper", "ntf").stderr


def test_that_no_file_was_written_is_said(invoke: Invoke, mine: Path) -> None:
    result = invoke("paper", "mine", "table1", "--out", "elsewhere")
    assert result.exit_code == 0
    assert "nothing was written to elsewhere: no run for this report is done" in result.stderr
    assert not (mine / "elsewhere").exists()


def test_a_picture_of_epochs_that_no_job_reaches_says_what_it_shows(invoke: Invoke, mine: Path) -> None:
    (mine / "sweeps" / "mine" / "moons.yaml").write_text(SWEEP.replace("value: 40", "value: 2"))
    (mine / "reports" / "mine" / "table1.yaml").write_text(REPORT.replace("[1, 40]", "[1, 40, 100]"))
    assert invoke("sweep", "launch", "sweeps/mine/moons.yaml").exit_code == 0
    engine = open_db(None, create=False)
    assert engine is not None
    finish_all(Queue(engine))
    drawn = invoke("picture", "mine/table1")
    assert drawn.exit_code == 0
    assert "epochs 40, 100 wanted, but jobs end with epoch 2, which is shown instead: CT; NFT\n" in drawn.stderr


def test_a_report_without_a_picture_is_refused(invoke: Invoke) -> None:
    assert invoke("picture", "nft/table1").exit_code == 2
    assert invoke("picture", "nft/figuer1").exit_code == 66


def test_a_figure_is_printed_as_svg(invoke: Invoke, folder: Path) -> None:
    assert "no finished run" in invoke("report", "nft/figure3", "--format", "svg").stdout
    assert invoke("report", "nft/table1", "--format", "svg").exit_code == 2


def test_listing_a_paper_loads_nothing_heavy(mine: Path) -> None:
    assert loaded("paper", "nft", "--list") & HEAVY == set()
