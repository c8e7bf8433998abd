from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import Invoke, read
from tests.cli.test_startup import loaded
from tests.cluster.test_launch import bin as bin
from tests.cluster.test_launch import program


@pytest.mark.parametrize("words", [[], ["--db", "lab.sqlite"], ["--db", "sqlite:///lab.sqlite"]])
def test_a_sqlite_file_is_refused_with_what_helps_and_not_made(words: list[str], invoke: Invoke, folder: Path) -> None:
    said = invoke("cluster", "launch", *words)
    assert said.exit_code == 78
    assert "nftlab db serve" in said.stderr
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


@pytest.mark.parametrize("words", [["--pack"], ["--no-such-option"], ["--max-jobs", "none"]])
def test_options_of_the_worker_are_checked_before_anything_is_submitted(words: list[str], invoke: Invoke, folder: Path) -> None:
    said = invoke("cluster", "launch", "--", *words)
    assert said.exit_code == 2
    assert words[0] in said.stderr
    assert not (folder / "db").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--", "--pack", "0"], "pack '0' is neither auto nor a number"),
        (["--", "--budget", "20"], "'20' is not a time"),
        (["--", "--device", "tpu"], "device 'tpu' is not auto"),
        (["--", "--device", "cuda:0,tpu"], "'tpu' in device 'cuda:0,tpu'"),
        (["--", "--lease", "0"], "lease must be greater than 0"),
        (["--", "--stalled-after", "-1"], "stalled-after must be greater than 0"),
        (["--", "--drain", "--drain-now"], "exclude each other"),
        (["--gpus-per-worker", "2", "--", "--max-jobs", "1"], "--max-jobs is for one worker"),
    ],
)
def test_what_does_not_go_together_for_a_worker_is_refused_too(words: list[str], told: str, invoke: Invoke, folder: Path) -> None:
    said = invoke("cluster", "launch", *words)
    assert (said.exit_code, told in said.stderr) == (2, True), said.stderr
    assert not (folder / "db").exists()


@pytest.mark.parametrize(("words", "told"), [(["--sbatch", "account="], "is not NAME=VALUE"), (["--time", "soon"], "is not a time")])
def test_what_cannot_be_asked(words: list[str], told: str, invoke: Invoke) -> None:
    said = invoke("cluster", "launch", *words)
    assert (said.exit_code, told in said.stderr) == (2, True)


def test_status_without_a_table(invoke: Invoke, bin: Path, folder: Path) -> None:
    program(bin, "squeue", "echo '12|0|PENDING||0:00|4:00:00|Resources'")
    told = read(invoke("cluster", "status", "--json"))
    assert told["states"] == {"pending": 1}
    assert [(task["task"], task["node"], task["jobs_done"]) for task in told["tasks"]] == [("12_0", "", 0)]
    assert set(told["jobs"].values()) == {0}
    assert not (folder / "db").exists()
    assert "12_0\tpending\t\t0:00\t4:00:00\t0\tResources" in invoke("cluster", "status").stdout


def test_where_there_is_no_slurm(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    for command in ("status", "stop"):
        said = invoke("cluster", command)
        assert (said.exit_code, said.stderr) == (69, "nftlab: no Slurm here: squeue is not on the PATH; log in to a node that has it\n")


def test_what_stopping_takes_is_said_of_workers_that_run(invoke: Invoke, bin: Path, folder: Path) -> None:
    for command in ("scancel", "scontrol"):
        program(bin, command, f"echo {command} >>{folder}/done")
    program(bin, "squeue", f"[ -e {folder}/done ] || echo '12_0|0|RUNNING|node|0:10|4:00:00|None'")
    stopped = invoke("cluster", "stop")
    assert stopped.stdout == "1 left, 0 had not started, 0 cancelled\n"
    assert stopped.stderr == "1 running: they hand their jobs back and leave; this takes up to 60 s\n"
    assert invoke("cluster", "stop").stderr == ""


def test_submitit_is_loaded_by_launch_alone() -> None:
    for words in (["--help"], ["cluster", "--help"], ["cluster", "launch", "--help"]):
        assert "submitit" not in loaded(*words)
