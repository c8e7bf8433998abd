"""What supervisor and trainer say to each other over their pipe: plain values, pickled only between our own two processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nftlab.speeds import Speed
from nftlab.store import Claim, EpochRow, Outcome


@dataclass(frozen=True)
class Prepare:
    """To the trainer: load this share of a data set, if it is not loaded yet. Answered by Prepared or Failed."""

    dataset: str
    share: float


@dataclass(frozen=True)
class Measure:
    """To the trainer: how fast jobs of this configuration train, so many at once. Answered by Measured or Failed.

    `work`: the lane-epochs that wait, which the time spent must be worth.
    """

    config: Mapping[str, Any]
    sizes: tuple[int, ...]
    work: float


@dataclass(frozen=True)
class Train:
    """To the trainer: train these jobs as one pack, until Stop. Answered by any number of Epoch, then Ended or Failed.

    A trainer that is out of lanes waits: whether more are to come is the supervisor's to say, by Join or Stop.
    """

    claims: tuple[Claim, ...]
    way: str


@dataclass(frozen=True)
class Join:
    """To the trainer: from the next epoch on these jobs belong to the pack too."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Stop:
    """To the trainer: finish the epoch, write the checkpoints, say Ended."""


@dataclass(frozen=True)
class Drop:
    """To the trainer: the jobs of these attempts belong to others by now, write nothing more of them."""

    attempts: frozenset[int]


@dataclass(frozen=True)
class Recorded:
    """To the trainer: so many more Epochs are in the table. It writes no checkpoint before, since that removes the last but one."""

    count: int


@dataclass(frozen=True)
class Away:
    """To the trainer: the job table does not answer. Until Back it waits for no Recorded, and writes no checkpoint if it lacks one."""


@dataclass(frozen=True)
class Back:
    """To the trainer: the job table answers again and knows what happened since."""


@dataclass(frozen=True)
class Ready:
    """From the trainer, once: where it trains."""

    device: str
    device_name: str
    threads: int
    torch: str


@dataclass(frozen=True)
class Prepared:
    """From the trainer: the data set is loaded, and this is where its examples come from."""

    source: str
    sha256: str


@dataclass(frozen=True)
class Measured:
    """From the trainer: the speeds, by lanes and way."""

    speeds: tuple[Speed, ...]


@dataclass(frozen=True)
class Beat:
    """From the trainer, every half second in which batches go through."""


@dataclass(frozen=True)
class Note:
    """From the trainer: something the user should read, such as a checkpoint that could not be used."""

    line: str


@dataclass(frozen=True)
class Epoch:
    """From the trainer: an epoch of every lane that trained one, and the outcome of the lanes that are through, by attempt id."""

    rows: tuple[tuple[int, EpochRow], ...]
    outcomes: tuple[tuple[int, Outcome], ...]


@dataclass(frozen=True)
class Ended:
    """From the trainer: the pack is over; its jobs without an outcome are to be handed back."""


@dataclass(frozen=True)
class Failed:
    """From the trainer: the order could not be carried out or, with `attempt`, that one job could not be taken into the pack.

    `kind` is "data", "unknown" (a data set that this code does not have), "config", "disk", "device", "memory" or "crash"; `error` one
    line; `traceback` all of it.
    """

    kind: str
    error: str
    traceback: str
    attempt: int | None = None


Order = Prepare | Measure | Train | Join | Stop | Drop | Recorded | Away | Back
Report = Ready | Prepared | Measured | Beat | Note | Epoch | Ended | Failed
