"""Several workers on one machine, each with a device, a process and cores of its own, started and stopped as one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from types import FrameType

from nftlab.errors import DeviceError, UsageError
from nftlab.worker.handle import start_deaf, tie_to_parent
from nftlab.worker.options import WorkerOptions, named
from nftlab.worker.signals import INTERRUPTED, PREEMPTED, SIGNALS, Signals

SERIOUS = (0, 1, PREEMPTED, INTERRUPTED, 65, 69, 78)  # exit codes, the most serious last; any other is worse still
_COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"

Work = Callable[[WorkerOptions], int]


def devices(written: str) -> list[str]:
    """The devices that `--device` means on this machine; "all" are its CUDA devices, or the CPU where it has none.

    Raises UsageError for words that name no device, DeviceError when the CUDA devices cannot be counted.
    """
    if written != "all":
        return named(written)
    # By torch, as the trainers will: it knows what CUDA_VISIBLE_DEVICES, the driver and its own build leave, and in which order;
    # nvidia-smi does not. In a process of its own, because it loads slowly and a broken driver may abort it.
    answer = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True)
    if answer.returncode:
        why = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        raise DeviceError(f"the CUDA devices cannot be counted: {why}", "see `nftlab doctor`, or name them: --device cuda:0,cuda:1")
    return [f"cuda:{index}" for index in range(int(answer.stdout.split()[-1]))] or ["cpu"]


def run_crew(crew: Sequence[WorkerOptions], work: Work) -> int:
    """Runs one worker for each of the options until all have left; returns the most serious of their exit codes.

    `work` is what each process does with its options (importable, it is called there): `run_worker` with its errors told. SIGINT,
    SIGTERM and SIGUSR1 are passed on once each. What a worker writes to stderr comes out line by line, its device in front. A
    worker that a signal killed counts as preempted (75). Raises UsageError for `max_jobs`, which counts the jobs of one worker.
    """
    check_crew(crew)
    members: list[Member] = []
    with Signals() as signals:
        try:
            for name, options, cores in zip(_names(crew), crew, shares(len(crew)), strict=True):
                members.append(Member(name, options, cores, work))
            living = members
            while living:
                wait([signals.socket, *(end for member in living for end in member.waitable)])
                for number in signals.drain():
                    for member in living:
                        member.send_signal(number)
                living = [member for member in living if not member.left()]
        finally:
            for member in members:  # only after an error of ours is one still there
                member.send_signal(signal.SIGTERM)
                member.join()
    return max((member.code for member in members), key=_seriousness)


def check_crew(crew: Sequence[WorkerOptions]) -> None:
    """Raises UsageError for options that several workers cannot have."""
    if len(crew) > 1 and any(options.max_jobs is not None for options in crew):
        raise UsageError("--max-jobs is for one worker, and --device names several", "leave it out, or start them one by one")


class Member:
    """One worker process of the crew, and the voice it speaks with."""

    def __init__(self, name: str, options: WorkerOptions, cores: set[int], work: Work) -> None:
        context = multiprocessing.get_context("spawn")  # as `handle` does; options travel as they are, not as words of a command line
        self._name, self._unfinished = name, b""
        self._voice, theirs = context.Pipe(duplex=False)
        os.set_blocking(self._voice.fileno(), False)
        self._process = context.Process(target=_be_member, args=(work, options, cores, theirs, os.getpid()), name=name)
        start_deaf(self._process)
        theirs.close()

    @property
    def waitable(self) -> list[Connection | int]:
        """What turns ready when it has said something or is gone."""
        return [self._voice, self._process.sentinel]

    @property
    def code(self) -> int:
        """Its exit code; PREEMPTED if a signal killed it: its jobs come back, and nothing is wrong with them."""
        code = self._process.exitcode or 0
        return code if code >= 0 else PREEMPTED

    def send_signal(self, number: int) -> None:
        """Passes a signal on, if there still is somebody to hear it."""
        if self._process.is_alive():
            os.kill(self._process.pid or 0, number)

    def join(self) -> None:
        """Waits for its end."""
        self._process.join()

    def left(self) -> bool:
        """Prints what it said since the last time; whether it is gone, which is said unless all went well."""
        alive = self._process.is_alive()  # asked first: what it said before it went is read below
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self._voice.fileno(), 1 << 16):
                self._unfinished += said
        *lines, self._unfinished = self._unfinished.split(b"\n")
        if not alive:
            lines += [self._unfinished] if self._unfinished else []
            code = self._process.exitcode or 0
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"
            lines += [how.encode()] if code else []
        with contextlib.suppress(OSError, ValueError):  # a full disk under the log is no reason to stop
            for line in lines:
                print(f"{self._name}: {line.decode(errors='replace')}", file=sys.stderr, flush=True)
        return not alive


def shares(workers: int) -> list[set[int]]:
    """This process's cores dealt out evenly, none to two workers unless there are fewer cores than workers."""
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(workers)]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < workers:
        return [{cores[index % len(cores)]} for index in range(workers)]
    bounds = [len(cores) * index // workers for index in range(workers + 1)]
    return [set(cores[start:end]) for start, end in pairwise(bounds)]


def _names(crew: Sequence[WorkerOptions]) -> list[str]:
    """The devices, numbered where several workers have the same."""
    of = [options.device for options in crew]
    return [device if of.count(device) == 1 else f"{device}/{of[: index + 1].count(device)}" for index, device in enumerate(of)]


def _seriousness(code: int) -> int:
    return SERIOUS.index(code) if code in SERIOUS else len(SERIOUS)


def _be_member(work: Work, options: WorkerOptions, cores: set[int], voice: Connection, parent: int) -> None:
    """The child's life: a worker like any other, but that signals to the parent's group reach it only from the parent."""
    tie_to_parent(parent)
    os.dup2(voice.fileno(), 2)  # its trainer's stderr too
    voice.close()
    if cores:
        os.sched_setaffinity(0, cores)
    for number in SIGNALS:
        signal.signal(number, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sys.exit(work(options))


def _leave(number: int, frame: FrameType | None) -> None:
    """Before the worker listens itself it has nothing to hand back."""
    raise SystemExit(INTERRUPTED if number == signal.SIGINT else PREEMPTED)
