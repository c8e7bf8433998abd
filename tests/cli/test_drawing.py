"""Tables on terminals of any width."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from nftlab.cli import output

Drawn = Callable[..., list[str]]

STATES = ("queued", "running", "done", "failed", "cancelled", "quarantined")
SWEEPS = [
    ["b-random-search", 30, 18, 2, 10, 0, 0, 0, "active", "33 %", "2 h 5 min", "4 h 1 min", "2026-11-27 22:13:48"],
    ["nft/table1-as-released", 19440, 19440, 0, 0, 0, 0, 0, "paused", "0 %", "0.0 s", "–", "2026-11-27 22:13:45"],
]
SWEEP_COLUMNS = ["sweep", "jobs", *STATES, "sweep is", "recorded", "trained", "left", "launched (UTC)"]
DATA = [
    [
        "mnist-rot",
        "made",
        "10,000 + 2,000 + 50,000",
        "/lab/data/mnist-rot/made-1-seed0",
        "digits at random angles (Larochelle et al., 2007)",
    ],
    ["mnist-rot-back-image", "missing", "10,000 + 2,000 + 50,000", "nftlab data get mnist-rot-back-image", "none stated, cite [them]"],
    ["digits", "embedded", "1,197 + 300 + 300", None, "real handwritten digits, 8×8"],
]
DATA_COLUMNS = ["data set", "status", "rows", "folder or command", "about"]


@pytest.fixture
def drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The lines of a table on a terminal so wide; what is said beside it comes last."""

    def draw(width: int, columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str] = ()) -> list[str]:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        output.table(columns, rows, right=right)
        shown = capsys.readouterr()
        return [line.rstrip() for line in re.sub(r"\x1b\[\d*m", "", shown.out + shown.err).splitlines()]

    return draw


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize(
    ("columns", "rows", "right"), [(SWEEP_COLUMNS, SWEEPS, ("jobs", *STATES, "recorded")), (DATA_COLUMNS, DATA, ())], ids=["sweeps", "data"]
)
def test_nothing_is_cut(width: int, columns: list[str], rows: list[list[object]], right: tuple[str, ...], drawn: Drawn) -> None:
    lines = drawn(width, columns, rows, right)
    words = " ".join(lines).split()
    for row in rows:
        assert any(line.startswith(f"{row[0]}") for line in lines), "the first column is whole"
        missing = [word for cell in row for word in str("" if cell is None else cell).split() if word not in words and word != "0"]
        assert missing == []
    assert max(map(len, lines)) <= width


def test_columns_of_zeros_go_where_the_terminal_is_too_narrow(drawn: Drawn) -> None:
    columns, rows, right = SWEEP_COLUMNS, SWEEPS, ("jobs", *STATES, "recorded")
    assert drawn(200, columns, rows, right)[0].split()[:8] == ["sweep", "jobs", *STATES]
    narrow = drawn(120, columns, rows, right)
    assert narrow[0].split()[:6] == ["sweep", "jobs", "queued", "running", "done", "sweep"]
    assert (len(narrow), narrow[-1]) == (4, "all 0: failed, cancelled, quarantined")


def test_texts_are_folded_between_words(drawn: Drawn) -> None:
    assert drawn(40, ["n", "about"], [[1, "a text that is much too long for so short a line"], [2, "short"]]) == [
        "n about",
        "1 a text that is much too long for so",
        "  short a line",
        "2 short",
    ]


def test_what_cannot_be_folded_becomes_a_block_for_each_row(drawn: Drawn) -> None:
    assert drawn(60, DATA_COLUMNS, DATA[:2]) == [
        "mnist-rot",
        "  status: made  rows: 10,000 + 2,000 + 50,000",
        "  folder or command: /lab/data/mnist-rot/made-1-seed0",
        "  about: digits at random angles (Larochelle et al., 2007)",
        "mnist-rot-back-image",
        "  status: missing  rows: 10,000 + 2,000 + 50,000",
        "  folder or command: nftlab data get mnist-rot-back-image",
        "  about: none stated, cite [them]",
    ]


def test_what_is_longer_than_a_line_stays_in_one_piece(drawn: Drawn) -> None:
    path = "/" + "x" * 50
    assert path in [line.strip() for line in drawn(30, ["setting", "value"], [["runs", path]])]


def test_a_table_without_rows_has_its_heading(drawn: Drawn) -> None:
    assert " ".join(drawn(80, SWEEP_COLUMNS, [], ("jobs", *STATES, "recorded"))) == " ".join(SWEEP_COLUMNS)
    assert " ".join(drawn(40, SWEEP_COLUMNS, [], ("jobs", *STATES, "recorded"))) == " ".join(SWEEP_COLUMNS)


def test_wide_characters_are_folded_and_not_cut(drawn: Drawn) -> None:
    cell = "日本語テスト foo bar baz foo bar baz 12345"
    for width in range(24, 60):
        assert "".join(drawn(width, ["name", "text"], [["a", cell]], ())).count("…") == 0, width
