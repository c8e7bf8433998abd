from __future__ import annotations

from typing import Any

import pytest

from nftlab.cluster import Request
from nftlab.errors import UsageError


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["--drain"]),
        ({"gpus": 4}, ["--drain", "--device", "all"]),
        ({"gpus": 4, "options": ("--device=cuda:0",)}, ["--drain", "--device=cuda:0"]),
        ({"options": ("--drain-now", "--pack", "4")}, ["--drain-now", "--pack", "4"]),
        ({"options": ("--drain",)}, ["--drain"]),
    ],
)
def test_what_the_worker_is_told(given: dict[str, Any], words: list[str]) -> None:
    assert Request(**given).worker() == words


def test_what_slurm_is_asked() -> None:
    request = Request(
        3, 2, 4, 5400.0, "gpu", "16G", setup=("module load cuda",), sbatch=(("account", "lab"), ("exclusive", True)), requeue=True
    )
    asked = request.parameters()
    assert (asked["time"], asked["partition"], asked["gpus_per_node"], asked["cpus_per_task"]) == (90, "gpu", 2, 4)
    assert asked["array_parallelism"] == 3
    assert asked["additional_parameters"] == {"signal": "USR1@90", "requeue": True, "mem": "16G", "account": "lab", "exclusive": True}
    assert asked["setup"][1:] == ["module load cuda"]
    assert asked["teardown"][-1] == 'exit "$code"'


def test_what_is_not_given_is_left_to_slurm() -> None:
    asked = Request(gpus=0).parameters()
    assert {"partition", "gpus_per_node", "cpus_per_task", "srun_args", "teardown"} & set(asked) == set()
    assert "mem" not in asked["additional_parameters"]


@pytest.mark.parametrize(("seconds", "warned"), [(60, 15), (120, 30), (360, 90), (86400, 90)])
def test_the_warning_leaves_most_of_a_short_time_to_work(seconds: float, warned: int) -> None:
    assert Request(seconds=seconds).parameters()["additional_parameters"]["signal"] == f"USR1@{warned}"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"seconds": 30.0}, "the least is 1m"),
        ({"memory": "lots"}, "--mem 'lots'"),
        ({"sbatch": (("signal", "TERM@1"),)}, "--sbatch signal is set by nftlab"),
        ({"options": ("--db", "postgresql://me:secret@db/lab")}, "--db after --"),
        ({"options": ("--db=postgresql://me:secret@db/lab",)}, "--db after --"),
    ],
)
def test_what_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        Request(**given)
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)
