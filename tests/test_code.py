from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nftlab import code


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed checkout that nftlab believes to run from."""
    (tmp_path / "nftlab").mkdir()
    (tmp_path / "nftlab" / "a.py").write_text("a = 1\n")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(code, "_PACKAGE", tmp_path / "nftlab")
    author = ["-c", "user.name=me", "-c", "user.email=me@here", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    found = code.identity()
    assert len(found["git_sha"] or "") == 40
    assert found["dirty"] is None


def test_every_change_of_the_package_has_a_hash_of_its_own(checkout: Path) -> None:
    seen = set()
    for name, text in (("a.py", "a = 2\n"), ("a.py", "a = 3\n"), ("new.py", ""), ("new.py", "b = 1\n")):
        (checkout / "nftlab" / name).write_text(text)
        seen.add(code.identity()["dirty"])
    assert len(seen) == 4
    assert None not in seen


def test_changes_are_a_patch_that_makes_the_same_code_of_the_commit(checkout: Path) -> None:
    assert code.changes() is None
    (checkout / "nftlab" / "a.py").write_text("a = 2\n")
    (checkout / "nftlab" / "new file.py").write_text("b = 1\n")
    (checkout / "nftlab" / "table.bin").write_bytes(bytes(range(256)))
    patch, dirty = code.changes(), code.identity()["dirty"]
    assert patch is not None
    (checkout / "nftlab" / "new file.py").unlink()
    (checkout / "nftlab" / "table.bin").unlink()
    subprocess.run(["git", "checkout", "-q", "."], cwd=checkout, check=True)
    subprocess.run(["git", "apply"], input=patch, text=True, cwd=checkout, check=True)
    assert code.identity()["dirty"] == dirty


def test_changes_beyond_measure_are_cut_and_say_so(checkout: Path) -> None:
    (checkout / "nftlab" / "table.py").write_text("0,1\n" * code.MOST)
    patch = code.changes()
    assert patch is not None
    assert len(patch) < code.MOST + 100
    assert patch.splitlines()[-1].startswith("[cut: ")


def test_what_lies_outside_the_package_does_not_count(checkout: Path) -> None:
    (checkout / "README.md").write_text("news")
    assert code.identity()["dirty"] is None


def test_a_hook_does_not_send_us_to_another_repository(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert code.identity()["git_sha"]


@pytest.mark.parametrize("without", ["git", "checkout"])
def test_without_a_checkout_or_git_the_package_is_told_by_its_files(checkout: Path, monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    if without == "git":
        monkeypatch.setenv("PATH", "/nowhere")
    else:
        (checkout / "pyproject.toml").unlink()
    seen = []
    for name, text in (("a.py", "a = 1\n"), ("a.py", "a = 2\n"), ("deep/b.py", ""), ("deep/c.py", "")):
        (checkout / "nftlab" / name).parent.mkdir(exist_ok=True)
        (checkout / "nftlab" / name).write_text(text)
        found = code.identity()
        assert found["git_sha"] is None
        assert code.identity() == found
        seen.append(found["dirty"])
        assert code.named(found) == f"{found['dirty']} of no commit"
    assert len({*seen, None}) == 5
    assert code.changes() is None
