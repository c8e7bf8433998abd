"""No tracker: curves stay in the job table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class NoTracker:
    """Accepts everything and keeps nothing."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Keeps nothing."""

    def close(self, summary: Mapping[str, Any] | None, exit_code: int) -> None:
        """Nothing to close."""
