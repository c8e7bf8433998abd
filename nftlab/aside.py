"""Files that are there whole or not at all: written aside, then moved to their name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def aside(path: Path, end: str = "") -> Iterator[BinaryIO]:
    """A new file beside `path`, its name ending in `end`, which takes that place once it is written and is removed if that fails.

    Nobody can have put a link under its name. What is there and no file, such as /dev/stdout, is written to. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}{end}")
    with open(beside, "xb") as file:
        try:
            yield file
            file.close()  # which writes the last bytes
            beside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
