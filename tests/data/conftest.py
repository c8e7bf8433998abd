"""Real data where there is any; nobody's own data are touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.data.mnist import Mnist
from tests.data.formats import RealData, write_small
from tests.realdata import real_root


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from or written to the user's own data."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("NFTLAB_DATA", str(tmp_path / "named"))


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> RealData:
    if root := real_root():
        return RealData(root, Mnist(), whole=True)
    root = tmp_path_factory.mktemp("small-real")
    return RealData(root, write_small(root), whole=False)
