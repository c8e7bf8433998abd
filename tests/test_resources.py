from __future__ import annotations

from pathlib import Path

import pytest

from nftlab import resources
from nftlab.errors import NotFoundError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as a wheel lays it out; returns the folder of its sweeps."""
    package = tmp_path / "site-packages" / "nftlab"
    sweeps = package / "_shipped" / "sweeps"
    (sweeps / "nft").mkdir(parents=True)
    (sweeps / "nft" / "quick.yaml").touch()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return sweeps


@pytest.mark.parametrize("kind", ["sweeps", "reports", "db"])
def test_a_checkout_has_them_beside_the_package(kind: resources.Kind) -> None:
    assert resources.shipped(kind) == Path(__file__).resolve().parents[1] / kind


def test_a_wheel_has_them_inside(installed: Path) -> None:
    assert resources.shipped("sweeps") == installed
    assert resources.shipped_sweeps() == ["nft/quick"]


@pytest.mark.parametrize("name", ["sweeps/nft/quick.yaml", "nft/quick.yaml", "nft/quick"])
def test_a_shipped_sweep_is_found_from_any_folder(name: str, installed: Path) -> None:
    assert resources.find_sweep(name) == installed / "nft" / "quick.yaml"


@pytest.mark.parametrize(("name", "inside"), [("sweeps", "."), ("sweeps/nft", "nft"), ("nft", "nft")])
def test_a_shipped_folder_too(name: str, inside: str, installed: Path) -> None:
    assert resources.find_sweep(name) == installed / inside


def test_what_lies_in_the_current_folder_comes_first(installed: Path) -> None:
    Path("nft").mkdir()
    assert resources.find_sweep("nft") == Path("nft")


@pytest.mark.parametrize("name", ["nft/qick", "sweeps/nft/qick.yaml"])
def test_a_misspelt_one_is_answered_with_the_nearest(name: str, installed: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'nft/quick'"):
        resources.find_sweep(name)


@pytest.mark.parametrize("name", ["/nft/quick", "../sweeps/nft/quick", "", "a\0b", "x" * 5000], ids=range(5))
def test_nothing_else_is_found(name: str, installed: Path) -> None:
    with pytest.raises(NotFoundError):
        resources.find_sweep(name)
