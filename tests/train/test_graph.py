"""What is recorded and what is replayed, told by graphs that only pretend: these tests need no GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from nftlab.train.graph import WORTH, Recorder
from nftlab.train.loop import Heart, interleave

SHORT = [
    torch.OutOfMemoryError("too little"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: out of memory"),
]


class Device:
    """Stands in for CUDA: counts what runs, and raises `errors` at the next recordings."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[Exception] = []
        self.ran = self.recorded = self.replayed = self.emptied = 0
        self.recording = False
        device = self

        class Graph:
            def capture_begin(self, pool: object, capture_error_mode: str) -> None:
                device.recording = True

            def capture_end(self) -> None:
                device.recording = False

            def replay(self) -> None:
                device.replayed += 1

        def empty() -> None:
            assert not device.recording
            device.emptied += 1

        for name, what in (("CUDAGraph", Graph), ("Stream", lambda device: None), ("graph_pool_handle", tuple), ("empty_cache", empty)):
            monkeypatch.setattr(torch.cuda, name, what)

    def step(self) -> None:
        if not self.recording:
            self.ran += 1
        elif self.errors:
            raise self.errors.pop()
        else:
            self.recorded += 1

    def counts(self, recorder: Recorder, steps: int, where: str = "a pass", name: str = "step") -> tuple[int, int, int]:
        """Steps run, recorded and replayed of an epoch."""
        before = self.ran, self.recorded, self.replayed
        assert len(list(recorder.repeat(self.step, steps, where, name))) == steps
        return self.ran - before[0], self.recorded - before[1], self.replayed - before[2]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(monkeypatch)


def test_the_first_step_runs_and_the_others_are_replayed(device: Device) -> None:
    recorder = Recorder(torch.device("cuda"))
    assert device.counts(recorder, WORTH) == (WORTH, 0, 0)  # too few
    assert device.counts(recorder, WORTH + 1) == (1, 1, WORTH)
    assert device.counts(recorder, 20) == (0, 0, 20)  # an epoch later
    assert device.counts(recorder, 20, name="another") == (1, 1, 19)
    assert device.counts(recorder, 20, where="another") == (1, 1, 19)
    recorder.forget("a pass")
    assert device.counts(recorder, 20, where="another") == (0, 0, 20)
    assert device.counts(recorder, 20) == (1, 1, 19)
    recorder.forget()
    assert device.counts(recorder, 20, where="another") == (1, 1, 19)


def test_a_step_that_cannot_be_recorded_runs_as_it_is(device: Device) -> None:
    recorder = Recorder(torch.device("cuda"))
    device.errors = [RuntimeError("operation not permitted when stream is capturing\nmore")]
    assert device.counts(recorder, 20) == (20, 0, 0)
    assert list(recorder.refused.values()) == ["operation not permitted when stream is capturing"]
    assert device.counts(recorder, 20) == (20, 0, 0)
    assert device.counts(recorder, 20, name="another") == (1, 1, 19)


@pytest.mark.parametrize("error", SHORT)
def test_memory_kept_for_later_is_given_back_before_a_recording_fails(device: Device, error: RuntimeError) -> None:
    recorder = Recorder(torch.device("cuda"))
    device.errors = [error]
    assert device.counts(recorder, 20) == (1, 1, 19)
    assert (device.emptied, recorder.refused) == (1, {})
    recorder.forget()
    device.errors = [error] * 2
    with pytest.raises(type(error)):
        device.counts(recorder, 20)


def test_streams_are_joined_again_after_an_error() -> None:
    """What their steps write to is freed with the error, and used again by what is issued next."""

    class Run:
        def __init__(self, fails: bool) -> None:
            self.fails, self.told = fails, list[str]()

        def begin(self) -> None:
            self.told.append("begin")

        def end(self) -> None:
            self.told.append("end")

        def stream(self) -> contextlib.AbstractContextManager[None]:
            return contextlib.nullcontext()

        def train(self, tick: Callable[[], None]) -> Iterator[None]:
            yield
            if self.fails:
                raise torch.OutOfMemoryError("too little")
            yield

    runs: list[Any] = [Run(False), Run(True)]
    with pytest.raises(torch.OutOfMemoryError):
        interleave(runs, Heart(lambda: None))
    assert [run.told for run in runs] == [["begin", "end"]] * 2
