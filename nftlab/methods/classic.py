"""CT, classic training: one step per batch on mean cross-entropy."""

from __future__ import annotations

from nftlab.methods.base import Method


class Classic(Method):
    """The loop as it is."""
