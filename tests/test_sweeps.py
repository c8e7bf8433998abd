"""Every file that ships is read: sweeps expand to the job count that their first comment names, reports and papers load."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nftlab.papers import item_sweeps, load_paper, papers
from nftlab.report import load_report
from nftlab.report.find import PAPER
from nftlab.resources import find_sweep, shipped, shipped_sweeps
from nftlab.spec import load

SWEEPS = sorted(shipped("sweeps").rglob("*.y*ml"))
REPORTS = sorted(path for path in shipped("reports").rglob("*.y*ml") if "out" not in path.relative_to(shipped("reports")).parts)
COMMANDS = Path(__file__).resolve().parents[2] / "shared" / "design" / "author_commands.json"
NETWORKS = {"FC-A": "fc-a", "FC-B": "fc-b", "CNN-A": "cnn-a", "CNN-B": "cnn-b", "ResNet18": "resnet18"}


def header(path: Path) -> str:
    """The comment that a file opens with."""
    lines = path.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(lines[:end])


def test_there_are_sweeps_and_reports() -> None:
    assert "nft/quick" in shipped_sweeps()
    assert REPORTS


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.relative_to(shipped("sweeps")).as_posix())
def test_a_sweep_expands_to_what_its_header_says(path: Path) -> None:
    told = re.search(r"(\d[\d,]*) jobs", header(path))
    assert told, "the first comment names the number of jobs"
    sweep = load(path)
    assert sweep.asked * len(sweep.seeds) == int(told[1].replace(",", ""))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.relative_to(shipped("sweeps")).as_posix())
def test_a_sweep_opens_with_its_command_cost_and_expectation(path: Path) -> None:
    told = re.search(r"nftlab sweep launch (\S+)", header(path))
    assert told
    assert find_sweep(told[1]).resolve() == path
    assert re.search(r"^# cost: \S", header(path), flags=re.MULTILINE)
    assert re.search(r"^# expected: \S", header(path), flags=re.MULTILINE)


def test_sweep_names_are_distinct() -> None:
    names = [load(path).name for path in SWEEPS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.relative_to(shipped("reports")).as_posix())
def test_a_report_or_paper_loads(path: Path) -> None:
    if path.name != PAPER:
        load_report(path)
        return
    name = path.parent.relative_to(shipped("reports")).as_posix()
    assert name in papers()
    for item in load_paper(name).items:
        names = {sweep.name for sweep in item_sweeps(item).values()}
        assert names <= set(load_report(item.report).sweeps), f"{item.name}: its report must count its sweeps"


def test_every_shipped_report_and_sweep_is_in_its_papers_manifest() -> None:
    items = [item for name in papers() for item in load_paper(name).items]
    small = {"nft/quick", "nft/mnist-rot-small"}
    assert {item.report for item in items} | small == {f"{path.parent.name}/{path.stem}" for path in REPORTS if path.name != PAPER}
    assert {name for item in items for name in item.sweeps} | small | {"nft/search"} == set(shipped_sweeps())


def _mine(command: dict[str, Any]) -> dict[str, Any]:
    """A published command as a configuration of ours, as far as the paper's intent and the command agree."""
    given = command["effective_args"]
    noise = command["dataset"].endswith("-n10")
    dataset = command["dataset"].removesuffix("-n10").replace("_", "-")
    config = {
        "algorithm": command["method"].lower(),
        "network": NETWORKS[command["arch"]],
        "dataset": {"imdb50k": "imdb", "winedr": "wines"}.get(dataset, dataset),
        "epochs": given["epochs"],
        "batch_size": given["batch_size"],
        "label_noise": 0.1 if noise else 0.0,
    }
    if not noise:
        config |= {"lr": given.get("lr_clf", given.get("lr")), "weight_decay": given.get("weight_decay_clf", given.get("weight_decay"))}
    if command["method"] == "FT":
        config |= {name: given[name] for name in ("iterations_simp", "step_simp", "conf_thres", "ratio_simp", "scaling")}
    if command["method"] == "NFT":
        config |= {name: given[name] for name in ("ratio_simp", "lr_simp", "scaling")}
        config |= {"eta_max": given["beta_simp"], "label_conditioning": given["target_conditioning"] == "yes"}
        if given["simplifier"] == "unet":
            config |= {"n_f": given["n_filters_base"], "nu": given["n_deep"] // 2}
    return config


def test_every_published_command_is_a_trial_of_the_selected_sweeps() -> None:
    if not COMMANDS.is_file():
        pytest.skip("the commands as they were taken from the published code are not here")
    names = ("table1-selected", "table1-inferred", "table2-ct", "table2-selected")
    configs = [trial.config for name in names for trial in load(shipped("sweeps") / "nft" / f"{name}.yaml").trials]
    commands = json.loads(COMMANDS.read_text())["commands"]
    assert len(commands) == 33
    for command in commands:
        wanted = _mine(command)
        assert any(all(config.get(name) == value for name, value in wanted.items()) for config in configs), wanted
