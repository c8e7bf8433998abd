from __future__ import annotations

import pytest
import torch

from tests.cli.helpers import Invoke, read


def test_a_machine_that_runs_the_tests_is_well(invoke: Invoke) -> None:
    result = invoke("doctor", "--json")
    found = read(result)
    assert (result.exit_code, found["ok"]) == (0, True), found
    names = ["python", "torch", "gpu", "bf16", "database", "runs", "data", "wandb", "git", "slurm"]
    assert [check["name"] for check in found["checks"]] == [name for name in names if name != "bf16" or not torch.cuda.is_available()]


@pytest.mark.ci
def test_what_must_be_mended_exits_1(invoke: Invoke) -> None:
    result = invoke("doctor", "--db", "sqlite:////proc/nftlab.sqlite", "--runs", "/proc/runs")
    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("fail")] == ["database", "runs"]
    assert "→" in result.stdout
