"""The trainer process: holds the data sets and trains one pack at a time, as the supervisor orders.

It never touches the job table. A checkpoint is on disk before its epoch is reported, so a job that was killed after any
recorded epoch resumes above epoch 0; epochs after the last checkpoint are trained again to the same bits.
"""

from __future__ import annotations

import os
import platform
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection

import torch

from nftlab import data
from nftlab.errors import ConfigError, DataError, DeviceError, DiskError
from nftlab.store import Claim
from nftlab.train import Pack
from nftlab.worker.handle import Setup
from nftlab.worker.lanes import Lanes
from nftlab.worker.messages import Beat, Drop, Ended, Failed, Note, Order, Prepare, Prepared, Ready, Recorded, Report, Stop, Train

CHECKPOINT = 10.0  # seconds between checkpoints: two fsyncs cost more than an epoch of a small network


class Trainer:
    """Carries out orders one after the other; Stop and Drop are heard while it trains."""

    def __init__(self, pipe: Connection, setup: Setup) -> None:
        self._pipe, self._setup = pipe, setup
        self._device = "cpu"
        self._tasks: dict[str, data.Task] = {}
        self._lanes: Lanes | None = None
        self._stopping = False
        self._unrecorded = 0  # epochs reported that are not in the table yet

    def serve(self) -> None:
        """Until the supervisor closes the pipe (EOFError)."""
        self._guarded(self._start)
        while True:
            order = self._pipe.recv()
            if isinstance(order, Prepare):
                self._guarded(partial(self._prepare, order.dataset))
            elif isinstance(order, Train):
                self._guarded(partial(self._train, order.claims))

    def _guarded(self, work: Callable[[], None]) -> None:
        """An error is the supervisor's to judge; only its disappearance ends the process."""
        try:
            work()
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self._say(Failed(kind_of(error), lines[0], traceback.format_exc()))

    def _start(self) -> None:
        self._device = resolve(self._setup.device)
        threads = int(os.environ.get("OMP_NUM_THREADS") or cores())
        torch.set_num_threads(threads)
        self._say(Ready(self._device, device_name(self._device), threads, torch.__version__))

    def _prepare(self, dataset: str) -> None:
        task = self._task(dataset)
        self._say(Prepared(task.source, task.sha256))

    def _train(self, claims: Sequence[Claim]) -> None:
        self._stopping, self._unrecorded = False, 0
        self._lanes = lanes = Lanes(claims, self._setup.runs)
        task = self._task(claims[0].config["dataset"])
        pack = Pack(task, lanes.members, device=self._device, deterministic=self._setup.deterministic)
        for note in lanes.restore(pack):
            self._say(Note(note))
        if through := lanes.through(pack):
            self._say(through)
            self._unrecorded += 1
        saved = float("-inf")
        self._hear()
        while not self._stopping and lanes.wanted(pack):
            results = pack.train_epoch(self._progress)
            self._hear()
            ends = any(result.finished for result in results)
            keep = ends or self._stopping or time.monotonic() - saved >= CHECKPOINT
            if keep:
                self._await_record()
            self._say(lanes.record(pack, results, keep=keep))
            self._unrecorded += 1
            saved = time.monotonic() if keep else saved
        self._say(Ended())

    def _task(self, name: str) -> data.Task:
        if name not in self._tasks:
            self._tasks[name] = data.load(name).to(self._device)
        return self._tasks[name]

    def _progress(self) -> None:
        """Called by the training loop about twice a second."""
        self._say(Beat())
        self._hear()

    def _hear(self) -> None:
        while self._pipe.poll():
            self._mind(self._pipe.recv())

    def _await_record(self) -> None:
        """Until the table knows every epoch reported: only the last two checkpoints stay, and it may know of none but the oldest."""
        while self._unrecorded:
            self._mind(self._pipe.recv())

    def _mind(self, order: Order) -> None:
        if isinstance(order, Stop):
            self._stopping = True
        elif isinstance(order, Recorded):
            self._unrecorded -= 1
        elif isinstance(order, Drop) and self._lanes is not None:
            self._lanes.drop(order.keys)

    def _say(self, report: Report) -> None:
        self._pipe.send(report)


def resolve(device: str) -> str:
    """ "auto" as the device there is; raises DeviceError for one that there is not."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda:0" if count else "cpu"
    if device.startswith("cuda"):
        index = int(device.partition(":")[2] or 0)
        if index >= count:
            found = f"has {count} CUDA device(s)" if count else "has no CUDA device"
            raise DeviceError(f"device {device} was asked for, this machine {found}", "use --device cpu, or see `nvidia-smi`")
        return f"cuda:{index}"
    return device


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: a scheduler may have given us fewer than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_name(device: str) -> str:
    """The GPU's or the processor's name."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return platform.processor() or platform.machine()


def kind_of(error: Exception) -> str:
    """What the supervisor should make of an error."""
    kinds = {DataError: "data", ConfigError: "config", DiskError: "disk", DeviceError: "device", torch.OutOfMemoryError: "memory"}
    return next((kind for cls, kind in kinds.items() if isinstance(error, cls)), "crash")
