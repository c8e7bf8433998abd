"""Hanging up on a Postgres server that neither answers nor goes away, so that a worker meets an outage and not the end of its leases.

A server whose disk hangs, or that somebody stopped, still acknowledges what it is sent: no timeout of the network notices it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

LOOK = 0.5  # seconds between two looks


class Watch:
    """Looks after every use of an engine's connections; one that takes longer than `patience()` seconds loses its server.

    Uses are short transactions, so the longest a server may rightly take is what it waits for locked rows.
    """

    def __init__(self, engine: Engine, patience: Callable[[], float]) -> None:
        self._patience = patience
        self._used: dict[int, tuple[float, Any]] = {}  # since when, and the connection, by the pool's record
        self._closed = threading.Event()
        event.listen(engine, "checkout", self._begin, insert=True)  # before the pool tries whether the server is there
        event.listen(engine, "checkin", self._end)
        threading.Thread(target=self._go_on_looking, name="watch", daemon=True).start()

    def close(self) -> None:
        """Looks no more."""
        self._closed.set()

    def _begin(self, driver: Any, record: Any, _proxy: Any) -> None:
        self._used[id(record)] = time.monotonic(), driver

    def _end(self, _driver: Any, record: Any) -> None:
        self._used.pop(id(record), None)

    def look(self) -> None:
        """Ends the connections whose use takes too long by now."""
        for key, (since, driver) in list(self._used.items()):
            if time.monotonic() - since > self._patience():
                self._used.pop(key, None)
                hang_up(driver)

    def _go_on_looking(self) -> None:
        while not self._closed.wait(LOOK):
            self.look()


def hang_up(driver: Any) -> None:
    """Ends a connection from outside: whoever waits for its answer gets an error."""
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(driver.fileno())) as line:  # it may have ended by itself
        line.shutdown(socket.SHUT_RDWR)
