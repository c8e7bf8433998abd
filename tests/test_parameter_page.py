"""docs/parameters.md against what it is made from."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

import pytest

from nftlab.hypers import ALGORITHMS, DATASETS, NETWORKS
from nftlab.spec.grammar import METRICS

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "parameters.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_source_says() -> None:
    made = runpy.run_path(str(DOCS / "parameters.py"))["page"]()
    assert made == TEXT, "docs/parameters.md is not what nftlab/hypers.py says; write it anew: python docs/parameters.py"


def test_every_parameter_curve_network_and_data_set_has_a_row() -> None:
    parameters = {field.name for cls in ALGORITHMS.values() for field in dataclasses.fields(cls)}
    curves = {name for cls in ALGORITHMS.values() for name in cls.curves}
    rows = {line.split("`")[1] for line in TEXT.splitlines() if line.startswith("| `")}
    assert rows >= {*parameters, *curves, *METRICS, *NETWORKS, *DATASETS}
    assert all(f"## `{algorithm}`" in TEXT for algorithm in ALGORITHMS)


@pytest.mark.parametrize(
    "row",
    [
        "| `momentum` | `0.9` | number, at least 0, below 1 | momentum of sgd |  |",
        "| `nu` | `2` | whole number, at least 1, at most 2 | levels of the U-Net (image data) | yes |",
        "| `label_conditioning` | `false` | `true`, `false` | show the label to the simplifier | yes |",
        "| `aux_output` | `linear` | `bn_relu` |",
    ],
)
def test_a_row_says_default_bounds_and_static(row: str) -> None:
    assert row in TEXT.splitlines()
