"""The trainer process: holds the data sets and trains one pack at a time, as the supervisor orders.

It never touches the job table. A checkpoint is on disk before its epoch is reported, so a job that was killed after any
recorded epoch resumes above epoch 0; epochs after the last checkpoint are trained again to the same bits.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

import torch

from nftlab import data
from nftlab.configuration import build
from nftlab.errors import ConfigError, DataError, DeviceError, DiskError, NotFoundError
from nftlab.store import Claim
from nftlab.train import Member, Pack
from nftlab.train.measure import measure
from nftlab.train.memory import ran_out
from nftlab.worker.circumstances import processor
from nftlab.worker.handle import Setup
from nftlab.worker.lanes import Lanes
from nftlab.worker.messages import (
    Away,
    Back,
    Beat,
    Drop,
    Ended,
    Epoch,
    Failed,
    Join,
    Measure,
    Measured,
    Note,
    Order,
    Prepare,
    Prepared,
    Ready,
    Recorded,
    Report,
    Stop,
    Train,
)


class _DesertedError(Exception):
    """In the middle of an epoch: nobody wants it any more."""


class Trainer:
    """Carries out orders one after the other; all but Prepare, Measure and Train are heard while it trains."""

    def __init__(self, pipe: Connection, setup: Setup) -> None:
        self._pipe, self._setup = pipe, setup
        self._device = "cpu"
        self._tasks: dict[tuple[str, float], data.Task] = {}
        self._lanes = Lanes(self._pack, setup.runs)
        self._joining: list[Claim] = []
        self._stopping = False
        self._unrecorded = 0  # epochs reported that are not in the table yet
        self._away = False  # the table, so that no answer is to be waited for

    def serve(self) -> None:
        """Until the supervisor closes the pipe (EOFError)."""
        self._guarded(self._start)
        while True:
            order = self._pipe.recv()
            if isinstance(order, Prepare):
                self._guarded(partial(self._prepare, order))
            elif isinstance(order, Measure):
                self._guarded(partial(self._measure, order))
            elif isinstance(order, Train):
                self._guarded(partial(self._train, order))

    def _guarded(self, work: Callable[[], None], attempt: int | None = None) -> None:
        """An error is the supervisor's to judge; only its disappearance ends the process."""
        try:
            work()
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self._say(Failed(kind_of(error), lines[0], traceback.format_exc(), attempt))

    def _start(self) -> None:
        self._device = resolve(self._setup.device)
        if self._device.startswith("cuda"):
            torch.cuda.set_device(self._device)  # else whatever names no device goes to the first one, beside its own worker
        threads = int(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or cores())  # of nested levels the outermost
        torch.set_num_threads(threads)
        version = str(torch.__version__)  # a plain text: unpickling its own class, the supervisor would import torch
        self._say(Ready(self._device, device_name(self._device), threads, version))

    def _prepare(self, order: Prepare) -> None:
        task = self._task(order.dataset, order.share)
        self._say(Prepared(task.source, task.sha256))

    def _measure(self, order: Measure) -> None:
        self._lanes = Lanes(self._pack, self._setup.runs)  # what the last pack filled the memory with is not this kind's
        hypers = build(order.config)
        task = self._task(hypers.dataset, hypers.data_share)
        self._say(Measured(tuple(measure(task, hypers, device=self._device, sizes=order.sizes, work=order.work))))

    # --- one pack

    def _train(self, order: Train) -> None:
        self._stopping, self._unrecorded, self._away = False, 0, False
        self._lanes.begin(order.way)
        self._joining = list(order.claims)
        self._hear()
        try:
            while not self._stopping:
                self._admit()
                if self._lanes.live:
                    self._epoch()
                else:
                    self._await(lambda: bool(self._joining) or self._stopping)
        except BaseException:
            self._lanes = Lanes(self._pack, self._setup.runs)  # what it was and what it filled the memory with goes
            raise
        self._say(Ended())

    def _admit(self) -> None:
        """Between epochs: those who are no more with us leave, those who join get their lanes; a bad one harms only itself."""
        self._report(self._lanes.tidy())
        joining, self._joining = self._joining, []
        for claim in joining:
            self._guarded(partial(self._welcome, claim), claim.attempt_id)
        self._report(self._lanes.tidy())

    def _welcome(self, claim: Claim) -> None:
        for note in self._lanes.admit(claim):
            self._say(Note(note))

    def _epoch(self) -> None:
        try:
            results = self._lanes.train_epoch(self._progress)
        except _DesertedError:  # epochs may take hours
            return self._lanes.abandon()
        self._hear()
        due = self._lanes.due(results)
        if due or self._stopping:
            self._await(lambda: not self._unrecorded or self._away)
        if self._stopping:
            due = {result.key for result in results}
        # Only the last two checkpoints stay, and the table may know of none but the oldest: while it lacks an epoch, none is written.
        self._report(self._lanes.record(results, set() if self._unrecorded else due))

    def _report(self, epoch: Epoch | None) -> None:
        if epoch is not None:
            self._say(epoch)
            self._unrecorded += 1

    def _pack(self, member: Member, way: str) -> Pack:
        task, deterministic = self._task(member.hypers.dataset, member.hypers.data_share), self._setup.deterministic
        return Pack(task, [member], device=self._device, deterministic=deterministic, way=way)

    def _task(self, name: str, share: float) -> data.Task:
        """Loaded once and kept on the device; the last one goes when another is wanted."""
        if (name, share) not in self._tasks:
            self._tasks = {(name, share): data.load(name).part(share).to(self._device)}
        return self._tasks[name, share]

    # --- the supervisor

    def _progress(self) -> None:
        """Called by the training loop about twice a second."""
        self._say(Beat())
        self._hear()
        if self._lanes.deserted:
            raise _DesertedError

    def _hear(self) -> None:
        while self._pipe.poll():
            self._mind(self._pipe.recv())

    def _await(self, what: Callable[[], bool]) -> None:
        while not what():
            self._mind(self._pipe.recv())

    def _mind(self, order: Order) -> None:
        if isinstance(order, Stop):
            self._stopping = True
        elif isinstance(order, Recorded):
            self._unrecorded -= order.count
        elif isinstance(order, Away | Back):
            self._away = isinstance(order, Away)
        elif isinstance(order, Join):
            self._joining += order.claims
        elif isinstance(order, Drop):
            self._joining = [claim for claim in self._joining if claim.attempt_id not in order.attempts]
            self._lanes.drop(order.attempts)

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
    return processor()


def kind_of(error: Exception) -> str:
    """What the supervisor should make of an error."""
    if ran_out(error):
        return "memory"
    kinds = {DataError: "data", NotFoundError: "unknown", ConfigError: "config", DiskError: "disk", DeviceError: "device"}
    return next((kind for cls, kind in kinds.items() if isinstance(error, cls)), "crash")
