"""Files and folders: names, what cannot be read, and re-reading what was stored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nftlab.errors import NotFoundError, SpecError
from nftlab.report.load import load_report
from nftlab.spec import load, load_all, load_text

TEXT = "method: grid\nparameters: {lr: {values: [1, 2]}}\n"


def put(path: Path, content: str | bytes = TEXT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_name_is_given_or_the_path_below_sweeps(tmp_path: Path) -> None:
    assert load(put(tmp_path / "sweeps" / "nft" / "a.yaml")).name == "nft/a"
    assert load(put(tmp_path / "elsewhere" / "b.v2.yml")).name == "b.v2"
    assert load(put(tmp_path / "sweeps" / "c.yaml", "name: mine\n" + TEXT)).name == "mine"
    with pytest.raises(SpecError, match="'my file' cannot name the sweep, and there is no `name`"):
        load(put(tmp_path / "my file.yaml"))


def test_a_stored_source_expands_again(tmp_path: Path) -> None:
    sweep = load(put(tmp_path / "a.yaml"))
    again = load_text(sweep.source, "the stored file", name=sweep.name)
    assert list(again.jobs()) == list(sweep.jobs())
    assert (sweep.source, sweep.path) == (TEXT, str(tmp_path / "a.yaml"))


def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    plain = load(put(tmp_path / "a.yaml"))
    assert load(put(tmp_path / "b.yaml", b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())).trials == plain.trials


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"method: grid\nname: \xff\n", ":2:7: not UTF-8 text"),
        (b"method: grid\nname: a\x00b\n", ":2:8: control character '\\x00'; a file is plain UTF-8 text"),
        (b"", ":1:1: the file is empty"),
    ],
)
def test_what_is_no_text(tmp_path: Path, content: bytes, problem: str) -> None:
    file = put(tmp_path / "a.yaml", content)
    with pytest.raises(SpecError) as caught:
        load(file)
    assert caught.value.problems == [f"{file}{problem}"]
    assert caught.value.exit_code == 78


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (load, load_all):
        with pytest.raises(NotFoundError, match=r"no sweep file .*a\.yaml"):
            read(tmp_path / "a.yaml")
    with pytest.raises(NotFoundError, match="cannot read"):
        load(tmp_path)
    with pytest.raises(NotFoundError, match="no sweep files below"):
        load_all(tmp_path)


def test_a_folder_gives_its_files_in_order(tmp_path: Path) -> None:
    for name in ("sweeps/b.yaml", "sweeps/a/z.yml", "sweeps/a/y.yaml"):
        put(tmp_path / name)
    put(tmp_path / "sweeps/notes.txt", "no sweep")
    assert [sweep.name for sweep in load_all(tmp_path / "sweeps")] == ["a/y", "a/z", "b"]
    assert [sweep.name for sweep in load_all(str(tmp_path / "sweeps" / "b.yaml"))] == ["b"]


def test_a_folder_gives_the_problems_of_all_its_files(tmp_path: Path) -> None:
    a = put(tmp_path / "a.yaml", "name: same\n" + TEXT)
    b = put(tmp_path / "b.yaml", "method: grid\n" + "name: same\n" + TEXT.replace("method: grid\n", ""))
    c = put(tmp_path / "c.yaml", TEXT.replace("lr", "lrr"))
    with pytest.raises(SpecError) as caught:
        load_all(tmp_path)
    duplicate, unknown = caught.value.problems
    assert duplicate == f"{b}:2:7: name: 'same' is also the name of {a}; sweeps need different names"
    assert unknown.startswith(f"{c}:2:14: parameters.lrr: does not apply to ct")


def test_importing_does_not_wait_for_the_yaml_reader() -> None:
    code = "import sys, nftlab.spec; print([m for m in ('ruamel.yaml', 'torch', 'numpy', 'sqlalchemy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_file_of_another_kind_is_told_in_one_line(tmp_path: Path) -> None:
    kinds = {"sweep": TEXT, "report": "title: T\nrows: {algorithm: [ct]}\ncolumns: {dataset: [digits]}\n", "paper": "title: T\nitems: {}\n"}
    takes = {"sweep": "nftlab sweep launch", "report": "nftlab report", "paper": "nftlab paper"}
    readers: dict[str, Callable[[Path], object]] = {"sweep": load, "report": load_report}
    for expected, reader in readers.items():
        for kind in kinds.keys() - {expected}:
            file = put(tmp_path / f"{kind}.yaml", kinds[kind])
            with pytest.raises(SpecError) as caught:
                reader(file)
            assert caught.value.problems == [f"{file}:1:1: this is a {kind} file, which `{takes[kind]}` takes, not a {expected} file"]
    with pytest.raises(SpecError) as caught:
        load(put(tmp_path / "both.yaml", TEXT + "rows: 1\n"))
    assert caught.value.problems[0].startswith(f"{tmp_path}/both.yaml:3:1: rows: unknown key")
