from __future__ import annotations

import pytest
import torch

from nftlab import doctor
from tests.cli.helpers import Invoke, read


def test_a_machine_that_runs_the_tests_is_well(invoke: Invoke) -> None:
    result = invoke("doctor", "--json")
    found = read(result)
    assert (result.exit_code, found["ok"]) == (0, True), found
    names = ["python", "torch", "gpu", "bf16", "database", "runs", "data", "wandb", "git", "slurm"]
    assert [check["name"] for check in found["checks"]] == [name for name in names if name != "bf16" or not torch.cuda.is_available()]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_password_in_what_is_found(options: tuple[str, ...], invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:hunter2 hunter2@host/lab?password=hunter2"
    monkeypatch.setattr(
        doctor, "examine", lambda db, runs: [doctor.Check("database", "fail", f"{url}: gone", f"nftlab db upgrade --db {url}")]
    )
    said = invoke("doctor", *options)
    assert (said.exit_code, said.stdout.count("***")) == (1, 4)
    assert "hunter2" not in said.output


@pytest.mark.ci
def test_what_must_be_mended_exits_1(invoke: Invoke) -> None:
    result = invoke("doctor", "--db", "sqlite:////proc/nftlab.sqlite", "--runs", "/proc/runs")
    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("fail")] == ["database", "runs"]
    assert "→" in result.stdout
