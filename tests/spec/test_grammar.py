"""A sweep file without `nftlab:` is a W&B sweep file; the reference says what the code accepts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nftlab.errors import SpecError
from nftlab.hypers import ALGORITHMS
from nftlab.spec import Metric, choosers, extensions, grammar, load, load_text, parameters, wandb_places
from nftlab.spec.distributions import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "sweep-files.md").read_text()
SEARCH_DOC = (ROOT / "docs" / "search.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOC + SEARCH_DOC, re.DOTALL)
SHIPPED = sorted((ROOT / "sweeps").rglob("*.yaml"))

# W&B's own rules (wandb/sweeps schema.json), as far as files that we accept can break them.
WANDB_KEYS = re.compile(
    "program|method|metric|metrics|parameters|early_terminate|run_cap|command|name|description|entity|project|controller|scheduler|job|"
    "image_uri|apiVersion|kind"
)
WANDB_FORMS = [{"value"}, {"values"}, {"values", "probabilities"}, {"min", "max"}, {"distribution", "min", "max"}]


def assert_is_wandb(text: str) -> None:
    """The file with `nftlab:` deleted, against W&B's grammar."""
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    document.pop("nftlab", None)
    assert all(WANDB_KEYS.fullmatch(key) for key in document)
    assert document["method"] in ("grid", "random", "bayes", "custom")
    metric = document.get("metric", {"name": "x"})
    assert "name" in metric
    assert metric.keys() <= {"name", "goal", "target", "impute", "impute_while_running"}
    for name, parameter in document["parameters"].items():
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name)
        assert parameter.keys() - {"q", "mu", "sigma", "a", "b"} in WANDB_FORMS
        assert parameter.get("distribution") in (None, *DEFAULTS, *parameters.LISTED)
        assert parameter.get("values", [0]) != []


@pytest.mark.parametrize("text", [*EXAMPLES, *(file.read_text() for file in SHIPPED)])
def test_examples_load_and_are_wandb_files_without_our_key(text: str) -> None:
    assert load_text(text, "example").asked
    assert_is_wandb(text)


def test_the_first_example_says_what_it_has() -> None:
    sweep = load_text(EXAMPLES[0])
    jobs = len(list(sweep.jobs()))
    assert f"It has 32 grid points, {len(sweep.trials)} trials and {jobs} jobs." in DOC
    assert sweep.notes[1].startswith("32 grid points are 16 trials")


CHOOSERS = {name: set(table) for part in (choosers.SAMPLERS, choosers.PRUNERS) for name, table in part.items()}


@pytest.mark.parametrize("name", CHOOSERS)
def test_the_reference_has_every_sampler_and_pruner_with_its_arguments(name: str) -> None:
    rows = re.findall(rf"^\| `{name}` \| (.*)\|$", SEARCH_DOC, re.MULTILINE)
    assert any(CHOOSERS[name] == set(re.findall(r"`(\w+)`", row)) for row in rows)


@pytest.mark.parametrize("key", [*grammar.KEYS, *grammar.REFUSED, *extensions.KEYS, *parameters.KEYS, *parameters.LISTED, *DEFAULTS])
def test_the_reference_has_every_key(key: str) -> None:
    assert re.search(rf"`{key}\b", DOC)


def test_the_reference_quotes_real_messages(problems: Any) -> None:
    quoted = re.findall(r"^sweeps/guide\.yaml:[\d:]+: (.*)$", DOC, re.MULTILINE)
    broken = EXAMPLES[0].replace("method: grid", "method: gird").replace("cnn-a", "cnn-b")
    assert quoted == [problem.split(": ", 1)[1] for problem in problems(broken)]


def test_what_wandb_needs_and_we_do_not_is_accepted_with_a_note() -> None:
    sweep = load_text(
        "program: train.py\nproject: p\nentity: e\ncommand: ['${env}', python]\nkind: sweep\ndescription: d\nmethod: grid\n"
        "metric: {name: nft/eta, goal: maximize, target: 3, impute: worst, impute_while_running: false}\n"
        "parameters: {algorithm: {value: nft}}\n"
    )
    assert sweep.metric == Metric("nft/eta", "maximize")
    assert sweep.notes == (
        "program, command: for W&B's own agents, not used here",
        "metric.target: not used here, every trial trains to its end",
    )
    assert load_text("method: grid\nparameters: {lr: {value: 1}}").metric == Metric("val/error", "minimize")


def test_a_file_says_where_its_curves_go(problems: Callable[[str], list[str]]) -> None:
    rest = "method: grid\nparameters: {lr: {value: 1}}\n"
    assert wandb_places(f"project: p\nentity: 'a team'\n{rest}") == {"project": "p", "entity": "a team"}
    assert wandb_places(f"# no project\n{rest}") == wandb_places(rest) == {}
    for odd in ("3", "team/p", "''", "[a]", '"a\\nb"'):  # as an earlier nftlab may have let pass, and launched
        text = f"project: {odd}\nentity: e\n{rest}"
        assert wandb_places(text) == {"entity": "e"}
        assert len(problems(text)) == 1
    assert load_text(f"project: team/p\nentity: ''\n{rest}", stored=True).trials
    with pytest.raises(SpecError, match="not YAML"):
        wandb_places("project: [")
    rule = "has to be 1 to 128 printable characters, none of / \\ # ? % : (a team is the entity, beside the project)"
    assert problems(f"project: team/p\nentity: ''\n{rest}") == [f"1:10: project: 'team/p' {rule}", f"2:9: entity: '' {rule}"]
    assert load_text(f"project: p\nentity: e\n{rest}").notes == ()


@pytest.mark.parametrize("method", ["grid", "bayes\nrun_cap: 2"])
def test_to_maximize_an_error_is_worth_a_note(method: str) -> None:
    text = f"method: {method}\nmetric: {{name: val/error, goal: maximize}}\nparameters: {{lr: {{values: [1, 2]}}}}\n"
    assert load_text(text).notes == ("metric.goal: maximize takes the largest val/error for the best; write goal: minimize",)
    assert load_text(text.replace("maximize", "minimize")).notes == ()


def test_the_quick_sweep_is_the_demo() -> None:
    sweep = load(ROOT / "sweeps" / "nft" / "quick.yaml")
    assert sweep.name == "quick-nft"
    assert len(list(sweep.jobs())) == 12
    assert {trial.config["algorithm"] for trial in sweep.trials} == {"ct", "nft"} <= set(ALGORITHMS)
    assert all(trial.config["test_curve"] for trial in sweep.trials)


def test_values_are_checked_beside_what_could_not_be_read(problems: Callable[[str], list[str]]) -> None:
    found = problems(
        "metrik: {}\nmethod: grid\nparameters:\n  lr: {values: []}\n  network: {values: [fc-a, cnnn-a]}\n"
        "  epochs: {value: twenty}\nnftlab: {zip: [[lr, epochs]], seeds: 0}\n"
    )
    assert [problem.partition(":")[0] for problem in found] == ["1", "4", "5", "6", "7", "7"]
