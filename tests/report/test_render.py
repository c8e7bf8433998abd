"""Every format of a table that shows every case: golden texts, escaping, and the same bytes twice."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nftlab.errors import DiskError, UsageError
from nftlab.report import FORMATS, Report, frame, render, write
from nftlab.report.latex import escape
from nftlab.report.layout import signed
from tests.report.factory import SPEC, Jobs, curve, report_of, spec_of

PUBLISHED = 'published: {source: "A & B, 2022", cells: {FC-A CT: [9.8 ± 0.1], FC-A NFT: [9.2]}}\n'
EVIL = '<script>alert(1)</script> & \\"quote\\" 100% $x_1$ {a}'


def table(text: str = SPEC + PUBLISHED, *, curves: bool = False) -> Report:
    """FC-A complete and better; CNN-A CT with a diverged seed; CNN-A NFT with one seed, the others waiting or failed."""
    jobs = Jobs()
    jobs.trial({"algorithm": "ct"}, val=[9.0, 9.5, 10.0], test=[10.0, 10.2, 10.4])
    jobs.trial({"algorithm": "nft", "eta_max": 500.0}, val=[8.0, 8.5, 9.0], test=[9.0, 9.3, 9.6])
    jobs.trial({"algorithm": "nft", "eta_max": 2000.0}, val=[9.0, 8.5, 9.0], test=[1.0, 1.0, 1.0])
    jobs.trial({"algorithm": "ct", "network": "cnn-a"}, val=[5.0, 5.0], test=[5.0, 6.0])
    jobs.add({"algorithm": "ct", "network": "cnn-a"}, 2, diverged=True)
    jobs.add({"algorithm": "nft", "network": "cnn-a"}, 0, test_error=5.5)
    jobs.add({"algorithm": "nft", "network": "cnn-a"}, 1, state="running", attempts=1)
    jobs.add({"algorithm": "nft", "network": "cnn-a"}, 2, state="failed", error="RuntimeError: <no> memory", attempts=4)
    rows = {job.job_key: curve(90, job.val_error, job.seed) for job in jobs if job.val_error} if curves else {}
    return report_of(jobs, spec_of(text), rows)


MARKDOWN = """\
# A table

|           |                        digits |   published | difference |
| --------- | ----------------------------: | ----------: | ---------: |
| **FC-A**  |                               |             |            |
| CT        |                  10.20 ± 0.20 | 9.80 ± 0.10 |      +0.40 |
| NFT       |               **9.30 ± 0.30** |    **9.20** |      +0.10 |
| **CNN-A** |                               |             |            |
| CT        | 5.50 ± 0.71 (2/3, 1 diverged) |             |            |
| NFT       |                  5.50 (1/3) … |             |            |

Difference to the baseline, paired by seed (below zero: better):

|           |        digits |
| --------- | ------------: |
| **FC-A**  |               |
| NFT       |  −0.90 ± 0.10 |
| **CNN-A** |               |
| NFT       | +0.50 (n = 1) |

"""


def test_markdown() -> None:
    text = render(table(), "md")
    assert text.startswith(MARKDOWN)
    for note in (
        "Test error in percent, mean ± sample standard deviation (ddof = 1) over 3 seeds, of the trial with the lowest mean "
        "validation error, chosen among 5 trials in all.",
        "Filled: 4 of 4 cells, 2 of them in part.",
        "Diverged seeds have no number: the mean is that of the others, and flatters.",
        "Bold: mean below that of CT in the same group.",
        "No significance is claimed: with 3 seeds an exact paired test cannot reach p < 0.05 (sign-flip test: 0.25 at best); it takes 6.",
        "Published: A & B, 2022; difference: ours − published.",
    ):
        assert f"- {note}\n" in text


COST = """
Seconds of training per job, and how many configurations each number was chosen from:

|           |                      digits |
| --------- | --------------------------: |
| **FC-A**  |                             |
| CT        |  32.0 s, of 1 configuration |
| NFT       | 35.0 s, of 2 configurations |
"""


def test_costs_stand_beside_the_numbers() -> None:
    assert COST in render(table(), "md")
    page = " ".join(Page(render(table(), "html")).words)
    assert "What it cost" in page
    assert "35.0 s, of 2 configurations" in page
    told = json.loads(render(table(), "json"))
    assert [cell["searched"] for cell in told["cells"]][:2] == [1, 2]
    assert [trial["chosen"] for trial in told["cells"][1]["trials"]] == [True, False]
    assert told["notes"][0].startswith("Test error in percent")


def test_markdown_columns_are_aligned() -> None:
    for block in re.findall(r"(?:^\|.*\n)+", render(table(), "md"), flags=re.MULTILINE):
        assert len({len(line) for line in block.splitlines()}) == 1


LATEX = r"""
\begin{tabular}{@{}lrrr@{}}
\toprule
 & digits & published & difference \\
\midrule
\multicolumn{4}{@{}l}{\textit{FC-A}} \\
\quad CT & 10.20 $\pm$ 0.20 & 9.80 $\pm$ 0.10 & +0.40 \\
\quad NFT & \textbf{9.30 $\pm$ 0.30} & \textbf{9.20} & +0.10 \\
\addlinespace
\multicolumn{4}{@{}l}{\textit{CNN-A}} \\
\quad CT & 5.50 $\pm$ 0.71 (2/3, 1 diverged) &  &  \\
\quad NFT & 5.50 (1/3) \ldots{} &  &  \\
\bottomrule
\end{tabular}
"""


def test_latex() -> None:
    text = render(table(), "latex")
    assert LATEX in text
    assert text.startswith("% nftlab report my/table\n")
    assert r"Published: A \& B, 2022" in text
    jobs = "jobs 0000000000000004 0000000000000005 0000000000000006; code 0123456789abcdef"
    assert f"% FC-A NFT, digits: 35.0 s, of 2 configurations; {jobs}" in text


def wide() -> Report:
    """Many columns: published values stand below ours."""
    text = SPEC.replace("[digits]", "[digits, mnist, imdb, wines]") + "published: {source: S, cells: {FC-A CT: [9.8 ± 0.1, 1, null, 2]}}\n"
    return table(text)


def test_published_values_stand_below_in_a_wide_table() -> None:
    assert "| *published* |           9.80 ± 0.10 (+0.40) |  1.00 |      |  2.00 |\n" in render(wide(), "md")
    latex = render(wide(), "latex")
    assert r"\quad \quad \textit{published} & 9.80 $\pm$ 0.10 (+0.40) & 1.00 &  & 2.00 \\" in latex
    assert r"\begin{table*}" in latex


def evil() -> Report:
    """Names that would be markup in one format or another."""
    text = SPEC.replace("title: A table", f'title: "{EVIL}"').replace("NFT: nft", f'"{EVIL} | η ± é 好": nft')
    text = text.replace("CNN-A: cnn-a", f'"{EVIL}": cnn-a').replace("[digits]", f'{{"{EVIL}": digits}}')
    return table(text + f'caption: "{EVIL}"\nnotes: "*bold* `code` {EVIL}"\n', curves=True)


@pytest.mark.parametrize("make", [table, wide, evil])
def test_latex_compiles(make: Callable[[], Report], tmp_path: Path) -> None:
    text = render(make(), "latex")
    document = (
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\usepackage{graphicx}\n\\begin{document}\n\\input{table}\n\\end{document}\n"
    )
    (tmp_path / "table.tex").write_text(text)
    (tmp_path / "main.tex").write_text(document)
    _well_formed(text)
    program = shutil.which("pdflatex")
    assert program or not os.environ.get("NFTLAB_CI"), "CI compiles: install TeX"
    if program:
        command = [program, "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "main.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60)
        assert done.returncode == 0, done.stdout[-2000:]


def _well_formed(text: str) -> None:
    """Environments are balanced, braces too, and every row has as many columns as the table."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert re.findall(r"\\begin{(.*?)}", body) == re.findall(r"\\end{(.*?)}", body)[::-1]
    bare = re.sub(r"\\[{}&%$#_]", "", body)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    columns = re.search(r"\\begin{tabular}{@{}(l+r*)@{}}", body)
    assert columns
    rows = [line for line in bare.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") + 1 for line in rows} == {len(columns[1])}


def test_latex_escapes() -> None:
    assert escape("50% of $a_1 & #2 {x} ~^\\") == r"50\% of \$a\_1 \& \#2 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert escape("[2] *") == "{[}2] {*}"  # "\\\\" before a row would take them for its arguments
    assert escape("η − é … 好") == r"$\eta$ $-$ é \ldots{} \texttt{U+597D}"


class Page(HTMLParser):
    """What a browser would see: tags, ids, links, and whether every tag is closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("make", [lambda: table(curves=True), wide, evil], ids=["table", "wide", "evil"])
def test_html_is_sound_and_needs_nothing_else(make: Callable[[], Report]) -> None:
    text = render(make(), "html")
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses} <= set(page.ids)
    assert all(address.startswith("#") for address in page.addresses)
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert "@import" not in text


def test_html_shows_what_the_table_shows() -> None:
    page = Page(render(table(curves=True), "html"))
    words = " ".join(page.words)
    for part in ("9.30 ± 0.30", "2/3", "1 diverged", "published", "RuntimeError: <no> memory", "nftlab sweep launch sweeps/mine.yaml"):
        assert part in words
    assert page.tags.count("svg") == 2


def test_html_and_markdown_escape_names() -> None:
    assert "<script" not in render(evil(), "html")
    assert "<script" not in render(evil(), "md").replace(r"\<script", "")
    assert r"η ± é 好" in render(evil(), "md")
    rows = [line for line in render(evil(), "md").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}, "no name makes a column"


@pytest.mark.parametrize(("value", "text"), [(0.3, "+0.30"), (-0.3, "−0.30"), (0.0, "0.00"), (-0.004, "0.00")])
def test_a_difference_that_prints_as_zero_has_no_sign(value: float, text: str) -> None:
    assert signed(value) == text


def test_json_has_the_promised_shape() -> None:
    told = json.loads(render(table(), "json"))
    first, better, partial, last = told["cells"]
    assert [first[key] for key in ("row", "column", "n", "jobs")] == ["FC-A CT", "digits", 3, [f"{n:016x}" for n in (1, 2, 3)]]
    assert (first["mean"], first["std"]) == (pytest.approx(10.2), pytest.approx(0.2))
    assert first["published"] == {"mean": 9.8, "std": 0.1, "source": "A & B, 2022"}
    assert first["seconds"] == pytest.approx(32.0)
    assert better["published"]["std"] is None
    assert [trial["val_error"] for trial in better["trials"]] == [8.5, pytest.approx(26.5 / 3)]
    assert better["paired"]["baseline"] == "FC-A CT"
    assert (partial["published"], partial["partial"], partial["diverged"]) == (None, True, 1)
    assert (last["std"], last["waiting"], last["states"]) == (None, True, {"done": 1, "failed": 1, "running": 1})


def test_csv_has_one_line_a_cell_and_pandas_reads_the_same() -> None:
    report = table()
    lines = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    assert [line["row"] for line in lines] == ["FC-A CT", "FC-A NFT", "CNN-A CT", "CNN-A NFT"]
    assert float(lines[1]["mean"]) == report.cells[1].mean
    assert lines[3]["std"] == ""
    assert json.loads(lines[1]["config"])["eta_max"] == 500.0
    told = frame(report)
    assert list(told.columns) == list(lines[0])
    assert told.groupby("column")["mean"].mean()["digits"] == pytest.approx(sum(cell.mean or 0 for cell in report.cells) / 4)


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_same_jobs_give_the_same_bytes(fmt: str) -> None:
    text = render(table(curves=True), fmt)
    assert text == render(table(curves=True), fmt)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'latex'.*md, csv, latex, html, json"):
        render(table(), "latx")


def test_files_are_written_by_name(tmp_path: Path) -> None:
    paths = write(table(), tmp_path / "out")
    assert {fmt: path.relative_to(tmp_path).as_posix() for fmt, path in paths.items()} == {
        "md": "out/my/table.md",
        "csv": "out/my/table.csv",
        "latex": "out/my/table.tex",
        "html": "out/my/table.html",
    }
    assert paths["md"].read_text() == render(table(), "md")
    assert len(list((tmp_path / "out" / "my").iterdir())) == 4


def test_what_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(DiskError, match="--out"):
        write(table(), tmp_path / "out")


def test_code_of_no_commit_is_told_apart_from_changes_to_one() -> None:
    jobs = Jobs()
    for seed, digest in enumerate(("a" * 16, "b" * 16, "b" * 16)):
        jobs.add({}, seed, git_sha=None, circumstances={"git_sha": None, "dirty": digest})
    report = report_of(jobs, spec_of())
    page, latex = render(report, "html"), render(report, "latex")
    assert "code of no commit" in page
    assert "uncommitted changes" not in page
    assert f"code {'a' * 16} of no commit, {'b' * 16} of no commit" in latex
