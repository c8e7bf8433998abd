from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from nftlab import doctor, store
from tests.store.conftest import fresh_postgres as fresh_postgres
from tests.store.conftest import postgres_url as postgres_url


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("NFTLAB_", "WANDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _torch_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> list[doctor.Check]:
    """What the doctor says of a torch whose module is `code`."""
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return doctor.torch()


FAKE = """
__version__ = {version!r}
class cuda:
    is_available = staticmethod(lambda: {gpus} > 0)
    device_count = staticmethod(lambda: {gpus})
    get_device_name = staticmethod(lambda i: f"GPU {{i}}")
class version:
    cuda = {cuda!r}
class Matrix:
    seconds = 0.01
    def bfloat16(self):
        half = Matrix()
        half.seconds /= {gain}
        return half
    def __matmul__(self, other):
        import time
        time.sleep(self.seconds)
randn = lambda *shape: Matrix()
"""


def test_a_torch_with_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checks = _torch_of(monkeypatch, tmp_path, FAKE.format(version="2.12.0+cu130", gpus=2, cuda="13.0", gain=1))
    assert [(check.name, check.status, check.found) for check in checks] == [("torch", "ok", "2.12.0+cu130"), ("gpu", "ok", "GPU 0, GPU 1")]


@pytest.mark.parametrize(("gain", "told"), [(4, "trains large networks faster"), (0.5, "saves no time")])
def test_a_processor_and_bf16(gain: float, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bf16 = _torch_of(monkeypatch, tmp_path, FAKE.format(version="2.11.0", gpus=0, cuda=None, gain=gain))[2]
    assert (bf16.name, bf16.status, told in bf16.found) == ("bf16", "ok", True)


@pytest.mark.parametrize(
    "code", [FAKE.format(version="2.9.1", gpus=0, cuda=None, gain=1), "raise ImportError('libcudart is missing')", "import os; os.abort()"]
)
def test_a_torch_that_cannot_be_used(code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (check,) = _torch_of(monkeypatch, tmp_path, code)
    assert check.status == "fail"
    assert "pip install" in check.mend


@pytest.mark.parametrize(("cuda", "told"), [(None, "without CUDA"), ("13.0", "does not see it")])
def test_a_gpu_that_torch_does_not_see(cuda: str | None, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    gpu = _torch_of(monkeypatch, tmp_path, FAKE.format(version="2.11.0", gpus=0, cuda=cuda, gain=1))[1]
    assert (gpu.status, told in gpu.found) == ("warn", True)


def test_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    check = doctor.database(None)
    assert (check.status, "first launch" in check.found) == ("ok", True)
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_a_folder_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "für 100%").mkdir()
    assert doctor.database(f"{tmp_path}/für 100%/lab.sqlite").status == "ok"
    (tmp_path / "für 100%" / "lab.sqlite").mkdir()
    check = doctor.database(f"{tmp_path}/für 100%/lab.sqlite/deep.sqlite")
    assert check.status == "ok", check
    (tmp_path / "für 100%" / "file").touch()
    assert doctor.database(f"{tmp_path}/für 100%/file/lab.sqlite").status == "fail"


def test_a_database_that_is_there(tmp_path: Path) -> None:
    assert store.open_db(str(tmp_path / "lab.sqlite"), create=True) is not None
    assert doctor.database(str(tmp_path / "lab.sqlite")).status == "ok"


@pytest.mark.parametrize("way", ["before the @", "in the query"])
def test_a_postgres_database_is_told_without_its_password(way: str, fresh_postgres: str) -> None:
    url = make_url(fresh_postgres)
    url = url.set(password="secret") if way == "before the @" else url.update_query_dict({"password": "secret"})
    written = url.render_as_string(hide_password=False)
    before = doctor.database(written)
    engine = store.open_db(written, create=True)
    assert engine is not None
    engine.dispose()
    after = doctor.database(written)
    assert before == doctor.Check("database", "ok", f"{after.found}: not there yet, the first launch makes it")
    assert after.found.startswith("postgresql://")
    assert "secret" not in after.found


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////proc/nftlab.sqlite",
        "sqlite:////proc/not/yet/nftlab.sqlite",
        "nonsense://",
        "postgresql://me:secret@127.0.0.1:1/lab",
        "postgresql://me@127.0.0.1:port/lab?password=secret",
    ],
)
def test_a_database_that_cannot_be_used(url: str) -> None:
    check = doctor.database(url)
    assert check.status == "fail"
    assert check.mend or ";" in check.found
    assert "secret" not in check.found


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.room(tmp_path / "not" / "yet").status == "ok"
    assert doctor.room(Path("/proc/runs")).status == "fail"
    monkeypatch.setattr(doctor, "FREE_GB", 1e9)
    assert doctor.room(tmp_path).status == "warn"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "told"), [("offline", "WANDB_MODE=offline"), (None, "no API key"), ("foo", "'foo' is not one of online")])
def test_wandb(mode: str | None, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    check = doctor.wandb()
    assert told in check.found
    assert check.status == ("fail" if mode == "foo" else "ok")


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert doctor.git().status == "ok"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.git().status == "warn"


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Check:
        raise RuntimeError("no luck")

    monkeypatch.setattr(doctor, "torch", broken)
    monkeypatch.setattr(doctor, "datasets", lambda: doctor.Check("data", "ok", ""))
    found = {check.name: check for check in doctor.examine(None, Path("runs"))}
    assert found["torch"] == doctor.Check("torch", "fail", "RuntimeError: no luck")
    assert list(found) == ["python", "torch", "database", "runs", "data", "wandb", "git", "slurm"]


@pytest.mark.parametrize(
    ("sbatch", "scontrol", "status", "told"),
    [
        (False, "", "ok", "not here"),
        (True, "exit 1", "warn", "does not answer"),
        (True, "echo 'KillWait = 30 sec'; echo 'PreemptMode = REQUEUE'", "ok", "KillWait 30 sec, PreemptMode REQUEUE"),
        (True, "echo 'KillWait = 5 sec'", "warn", "KillWait 5 sec"),
    ],
)
def test_slurm(sbatch: bool, scontrol: str, status: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, text in {"sbatch": "exit 0", "scontrol": scontrol}.items() if sbatch else ():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    check = doctor.slurm()
    assert (check.status, told in check.found) == (status, True)
