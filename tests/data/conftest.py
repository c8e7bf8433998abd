"""Real data where there is any; nobody's own data are touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """No file grows beyond so many bytes: what a full disk looks like to whoever writes, since the write itself fails."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        old_limit, old_handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old_limit[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
            signal.signal(signal.SIGXFSZ, old_handler)

    return limited


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> RealData:
    if root := real_root():
        return RealData(root, Mnist(), whole=True)
    root = tmp_path_factory.mktemp("small-real")
    return RealData(root, write_small(root), whole=False)
