"""How long kinds of jobs take on this machine, timed as a worker would before it trains them, and remembered like that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine

from nftlab.speeds import Speed, fastest
from nftlab.store import Kind
from nftlab.worker.blame import SickNodeError
from nftlab.worker.budget import Wishes
from nftlab.worker.handle import TrainerHandle
from nftlab.worker.options import WorkerOptions
from nftlab.worker.pack_size import Sizes, what
from nftlab.worker.warm import WarmTrainer


@dataclass(frozen=True)
class Timed:
    """A kind and the speed of the pack that a worker here would choose for it; None: `why` there is none."""

    kind: Kind
    speed: Speed | None
    why: str = ""


def time_kinds(
    engine: Engine, kinds: Sequence[Kind], options: WorkerOptions, wishes: Wishes, say: Callable[[str], None]
) -> Iterator[Timed]:
    """Each kind in turn, by data set; nothing is trained, and what is known is not timed again. Ends early when a stop is wished.

    Of the options, `device` and `runs` count. Raises SickNodeError where nothing can be trained.
    """
    warm = WarmTrainer(partial(TrainerHandle, options.device, options.runs, deterministic=False), engine, wishes, say)
    sizes = Sizes(engine, None, warm.measure, say)
    try:
        for kind in sorted(kinds, key=lambda kind: str(kind.config["dataset"])):  # a trainer holds one data set
            if not warm.start():
                return
            found = _timed(warm, sizes, kind)
            if wishes.stop:
                return
            yield found
    finally:
        warm.handle.kill()


def _timed(warm: WarmTrainer, sizes: Sizes, kind: Kind) -> Timed:
    assert warm.ready is not None  # it was started
    try:
        warm.load(kind.config["dataset"], kind.config.get("data_share", 1.0))
    except SickNodeError as error:  # an UnloadableError, or the trainer died: the next kind has a new one
        return Timed(kind, None, str(error).splitlines()[-1])
    head = {"config": kind.config, "pack_key": kind.pack_key, "alone": False}
    choice = sizes.choose(head, max(kind.together, 2), warm.ready)  # of one job alone a worker measures nothing
    speed = fastest(choice.speeds, kind.together)
    return Timed(kind, speed, "" if speed else what(kind.config))
