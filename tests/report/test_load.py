"""Report files: what they mean, and every problem at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from nftlab.errors import NotFoundError, SpecError
from nftlab.report import load_report, reports
from nftlab.report.load import load_report_text
from tests.report.factory import SPEC, spec_of


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_report_text(text, "bad", path="bad.yaml")
    return caught.value.problems


def test_a_product_of_fields_makes_groups() -> None:
    spec = spec_of()
    assert [(line.label, line.group, line.short) for line in spec.rows[:2]] == [("FC-A CT", "FC-A", "CT"), ("FC-A NFT", "FC-A", "NFT")]
    assert spec.rows[3].where == {"network": ("cnn-a",), "algorithm": ("nft",)}
    assert (spec.columns[0].label, spec.columns[0].group) == ("digits", "")
    assert (spec.metric, spec.seeds, spec.sweeps, spec.published) == ("test_error", 3, (), {})


def test_lines_may_be_spelled_out() -> None:
    rows = "rows:\n- {label: as written, group: NFT, where: {algorithm: nft, mode: paper}}\n- {label: fast, where: {lr: [1e-3, 0.01]}}\n"
    spec = spec_of(f"title: T\n{rows}columns: {{dataset: digits}}\n")
    assert [(line.label, line.where) for line in spec.rows] == [
        ("NFT as written", {"algorithm": ("nft",), "mode": ("paper",)}),
        ("fast", {"lr": (0.001, 0.01)}),
    ]


@pytest.mark.parametrize(
    ("written", "mean", "std"), [("28.34 ± 0.09", 28.34, 0.09), ("28.34 +- 0.09", 28.34, 0.09), ("7 +/- .5", 7.0, 0.5), ("3.5", 3.5, None)]
)
def test_published_values(written: str, mean: float, std: float | None) -> None:
    spec = spec_of(SPEC + f"published: {{source: S, cells: {{FC-A CT: [{written}]}}}}\n")
    value = spec.published["FC-A CT", "digits"]
    assert (value.mean, value.std, value.source) == (mean, std, "S")


def test_a_hole_in_the_published_table_is_null() -> None:
    assert spec_of(SPEC + "published: {source: S, cells: {FC-A CT: [null]}}\n").published == {}


def test_all_problems_come_at_once_with_their_places() -> None:
    text = """\
tilte: A
rows:
  netwrok: [fc-a]
  algorithm: [ct, nft]
columns: {dataset: [digits]}
metric: test_eror
choose: test_error
seeds: 0
baseline: {algorithm: eef}
published:
  cells:
    nfft: [1 ± 2]
    nft: [1, 2]
    ct: [about 3]
"""
    assert problems(text) == [
        "bad.yaml:1:1: tilte: unknown key; allowed: title, caption, notes, sweeps, rows, columns, metric, choose, seeds, baseline, "
        "published, figure (did you mean 'title'?)",
        "bad.yaml:1:1: title is missing",
        "bad.yaml:3:3: rows.netwrok: no algorithm has this field (did you mean 'network'?)",
        "bad.yaml:6:9: metric: 'test_eror' is not one of test_error, val_error (did you mean 'test_error'?)",
        "bad.yaml:7:9: choose: configurations are chosen by validation, never by test: val_error or val_error_per_seed",
        "bad.yaml:8:8: seeds: 0 is below 1",
        "bad.yaml:9:1: baseline: no row and no column is the baseline",
        "bad.yaml:10:1: published: source is missing",
        "bad.yaml:12:5: published.cells.nfft: no row has this label; rows: ct, nft (did you mean 'nft'?)",
        "bad.yaml:13:10: published.cells.nft: 2 values for 1 columns; write null where none was published",
        "bad.yaml:14:10: published.cells.ct: 'about 3' is not a published value; write 28.34 ± 0.09, a number, or null",
    ]


def test_of_rows_whose_one_field_is_misspelt_nothing_else_is_told() -> None:
    text = """\
title: T
rows: {algoritm: [ct]}
columns: {dataset: [digits]}
published: {source: S, cells: {ct: [1]}}
figure: {axis: [lr, epochs]}
"""
    assert problems(text) == ["bad.yaml:2:8: rows.algoritm: no algorithm has this field (did you mean 'algorithm'?)"]
    assert "bad.yaml:2:7: rows: no field is given" in problems(text.replace("{algoritm: [ct]}", "{}"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", ":1:1: the file is empty"),
        ("title: [", "not YAML"),
        ("- a\n", "is not a mapping"),
        (SPEC + "title: again\n", "duplicate key"),
        (SPEC + 'caption: "\\e[31mred"\n', "cannot be printed"),
        (SPEC + "caption: {a: b}\n", "is not a text"),
        (SPEC + "sweeps: []\n", "the list is empty"),
        (SPEC + "published: {source: S, cells: {FC-A CT: [1, 2]}}\n", "2 values for 1 columns"),
        (SPEC + "published: {source: S, cells: {FC-A CT: [about 3]}}\n", "is not a published value"),
        ("title: T\nrows: {network: [fc-a, fc-a]}\ncolumns: {dataset: [digits]}\n", "two lines are called 'fc-a'"),
        ("title: T\nrows: [{label: A}]\ncolumns: {dataset: [digits]}\n", "where is missing"),
        ("title: T\nrows: {network: [fc-a]}\ncolumns: {lr: [fast]}\n", ":3:16: columns.lr: 'fast' is not a number"),
        ("title: T\nrows: {epochs: [0]}\ncolumns: {dataset: [digits]}\n", "0 is below 1"),
        ("title: T\nrows: {network: []}\ncolumns: {dataset: [digits]}\n", "the list is empty"),
        ("title: T\nrows: {network: {}}\ncolumns: {dataset: [digits]}\n", "rows.network: no value is given"),
        (SPEC.replace("[digits]", "[digits, mnist]") + "published: {source: S, cells: {FC-A CT: [9.8]}}\n", "1 values for 2 columns"),
        (SPEC + "published: {source: S, cells: {FC-A CT: [.nan]}}\n", "nan is not a number"),
        (SPEC + "figure: {}\n", "one of curves, axis, picture is expected"),
        (SPEC + "figure: {curves: [val/eror]}\n", "did you mean 'val/error'"),
        (SPEC + "figure: {curves: [nft/strenght]}\n", "did you mean 'nft/strength'"),
        (SPEC + "figure: {curves: [ct/anything]}\n", "'ct/anything' is no curve; allowed: "),
        (SPEC + "figure: {curves: [val/error, val/loss]}\n", "no axis in common"),
        (SPEC + "figure: {curves: [val/error, train/error, test/error]}\n", "3 curves"),
        (SPEC + "figure: {curves: [[val/error], train/error]}\n", "do not mix"),
        (SPEC + "figure: {axis: lr}\n", "row 'FC-A CT' has no single number for lr"),
        (SPEC + "figure: {axis: [lr, lr, lr]}\n", "3 fields for 2 groups of rows"),
        (SPEC + "figure: {picture: boundry, epochs: [1]}\n", "did you mean 'boundary'"),
        (SPEC + "figure: {picture: boundary}\n", "epochs is missing"),
        (SPEC + "figure: {curves: [val/error], epochs: [1]}\n", "belongs to a picture"),
    ],
)
def test_a_problem_is_named(text: str, complaint: str) -> None:
    assert any(complaint in problem for problem in problems(text))


def test_a_file_that_is_no_text_is_a_problem_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"title: T\nrows: \xff\xfe\n")
    with pytest.raises(SpecError) as caught:
        load_report(file)
    assert caught.value.problems == [f"{file}:2:7: not UTF-8 text"]
    file.write_bytes(b"\xef\xbb\xbf" + SPEC.lstrip().encode())
    assert load_report(file).title == "A table"


def test_names_that_this_nftlab_does_not_know_are_noted_not_refused() -> None:
    spec = spec_of("title: T\nrows: {algorithm: [ct, caper]}\ncolumns: {dataset: [digits, miniimagenet]}\n")
    assert spec.notes == ("Not in this nftlab yet, so these cells cannot be filled: algorithm caper; dataset miniimagenet.",)


def test_a_report_in_the_current_folder_comes_before_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = load_report("nft/quick")
    mine = tmp_path / "reports" / "nft" / "quick.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(SPEC)
    (tmp_path / "reports" / "out").mkdir()
    (tmp_path / "reports" / "out" / "not-one.yaml").write_text("")
    assert load_report("nft/quick").title == "A table" != shipped.title
    assert load_report("nft/table1").name == "nft/table1"
    assert {"nft/quick", "nft/table1", "nft/mnist-rot-small"} <= set(reports())
    assert "out/not-one" not in reports()


@pytest.mark.parametrize("given", ["nft/quick", "nft/quick.yaml", "reports/nft/quick.yaml"])
def test_a_shipped_report_has_one_name_from_any_folder(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_report(given).name == "nft/quick"


def test_a_file_anywhere_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SPEC)
    assert load_report(tmp_path / "mine.yaml").name == "mine"
    (tmp_path / "reports" / "a").mkdir(parents=True)
    (tmp_path / "reports" / "a" / "b.yaml").write_text(SPEC)
    assert load_report(tmp_path / "reports" / "a" / "b.yaml").name == "a/b"


@pytest.mark.parametrize("given", ["nft/quik", "../reports/nft/quick", "/nft/quick", ""])
def test_an_unknown_report_names_the_known_ones(given: str) -> None:
    with pytest.raises(NotFoundError, match=r"known are: .*nft/table1"):
        load_report(given)


def test_names_that_no_file_can_have_are_unknown_too() -> None:
    with pytest.raises(NotFoundError, match="no report"):
        load_report(f"{'x' * 300}.yaml")


def test_the_nearest_report_is_suggested() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'nft/quick'"):
        load_report("nft/quik")
