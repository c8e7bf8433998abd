"""How commands speak: data on stdout, messages on stderr, nothing fancy into a pipe."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nftlab.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

LONG = 1.0  # seconds after which a person wants to see that something is going on
ASK_ABOVE = 10  # rows that a destructive command changes without asking


def say(message: str) -> None:
    """One or more lines for the person at the keyboard, on stderr; lost where nothing can be written there."""
    with contextlib.suppress(OSError):
        print(printable(message), file=sys.stderr)


def emit(text: str) -> None:
    """Data on stdout, in one write: as they are for programs, with control characters spelled out on a terminal."""
    text = printable(text) if sys.stdout.isatty() else text
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def emit_json(value: Any) -> None:
    """One JSON value on stdout; numbers that JSON has no word for (NaN, infinity) become null."""
    emit(json.dumps(_plain(value), indent=2, allow_nan=False))


def printable(text: str) -> str:
    """The text with control characters spelled out, so that no name or error message can drive a terminal."""
    return "".join(c if c in "\n\t" or (c.isprintable() or c == " ") else c.encode("unicode_escape").decode() for c in str(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[str] = ()) -> None:
    """A table on stdout: drawn on a terminal, whole at any width; tab-separated text in a pipe.

    `right`: columns of numbers. On a terminal that is too narrow those that hold nothing but zeros are left out, which is said.
    """
    texts = [["" if cell is None else printable(str(cell)).replace("\t", " ").replace("\n", " ") for cell in row] for row in rows]
    if not sys.stdout.isatty():
        return emit("\n".join("\t".join(row) for row in [columns, *texts]))
    from nftlab.cli.drawing import draw

    left_out = draw(console(), columns, texts, set(right))
    if left_out and texts:
        say(f"all 0: {', '.join(left_out)}")


def console(*, stderr: bool = False) -> Console:
    """A rich console; it honours NO_COLOR, FORCE_COLOR, TERM and COLUMNS by itself."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False)


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Shows on a terminal, once it takes long, what is being done and since when."""
    if not sys.stderr.isatty():
        yield
        return
    shown: list[Progress] = []

    def show() -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        shown.append(Progress(*columns, console=console(stderr=True), transient=True))
        shown[0].add_task(what, total=None)
        shown[0].start()

    late = threading.Timer(LONG, show)
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()
        late.join()
        for progress in shown:
            progress.stop()


@contextlib.contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on stderr, one per thing that is being done: told what, how much of it, of how much. Nothing where stderr is no terminal."""
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    screen = console(stderr=True)
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(printable(what), total=total or None)
            shown.update(tasks[what], completed=done, total=total or None)

        yield progress


def confirm(what: str, rows: int, yes: bool) -> bool:
    """Asks before more than `ASK_ABOVE` rows change; without a terminal it refuses and names --yes."""
    return rows <= ASK_ABOVE or agreed(f"{what} {rows} jobs", yes)


def agreed(what: str, yes: bool) -> bool:
    """Asks; without a terminal it refuses and names --yes."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{what} needs a yes: add --yes")
    import typer

    return typer.confirm(f"{printable(what)}?", err=True)


def duration(seconds: float | None) -> str:
    """`95` as `1 min 35 s`; unknown as `–`."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def written(value: Any) -> str:
    """A parameter's value as sweep files have it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def cells(config: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """A configuration's values for a table; `–` where it has no such parameter."""
    return [written(config[name]) if name in config else "–" for name in names]


def number(value: float | None, digits: int = 2) -> str:
    """A figure for a table; a missing one is `–`."""
    return "–" if value is None else f"{value:.{digits}f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
