"""What supervisor and trainer say to each other over their pipe: plain values, pickled only between our own two processes."""

from __future__ import annotations

from dataclasses import dataclass

from nftlab.store import Claim, EpochRow, Outcome


@dataclass(frozen=True)
class Prepare:
    """To the trainer: load this data set, if it is not loaded yet. Answered by Prepared or Failed."""

    dataset: str


@dataclass(frozen=True)
class Train:
    """To the trainer: train these jobs as one pack. Answered by any number of Epoch, then Ended or Failed."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Stop:
    """To the trainer: finish the epoch, write the checkpoints, say Ended."""


@dataclass(frozen=True)
class Drop:
    """To the trainer: these jobs belong to others by now, write nothing more of them."""

    keys: frozenset[str]


@dataclass(frozen=True)
class Recorded:
    """To the trainer: an Epoch is in the table. It writes no checkpoint before, since that removes the last but one."""


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
class Beat:
    """From the trainer, every half second in which batches go through."""


@dataclass(frozen=True)
class Note:
    """From the trainer: something the user should read, such as a checkpoint that could not be used."""

    line: str


@dataclass(frozen=True)
class Epoch:
    """From the trainer: an epoch of every lane that trained one, by job key, and the outcome of the lanes that are through."""

    rows: tuple[tuple[str, EpochRow], ...]
    outcomes: tuple[tuple[str, Outcome], ...]


@dataclass(frozen=True)
class Ended:
    """From the trainer: the pack is over; its jobs without an outcome are to be handed back."""


@dataclass(frozen=True)
class Failed:
    """From the trainer: the order could not be carried out.

    `kind` is "data", "config", "disk", "device", "memory" or "crash"; `error` one line; `traceback` all of it.
    """

    kind: str
    error: str
    traceback: str


Order = Prepare | Train | Stop | Drop | Recorded
Report = Ready | Prepared | Beat | Note | Epoch | Ended | Failed
