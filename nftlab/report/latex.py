"""A report as a LaTeX table for booktabs: it can be \\input as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nftlab.report.build import Report
from nftlab.report.layout import Grid, Row, Text, cost, main_grid
from nftlab.report.notes import notes
from nftlab.report.provenance import code
from nftlab.report.scale import command

_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρστυφχψωΔ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega Delta".split(),  # noqa: SIM905
        strict=True,
    )
)
_SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # no wider than the page lets it
_WIDE = 3  # more columns than these span both columns of a two-column page
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    **{"[": "{[}", "*": "{*}"},  # at the beginning of a row they would be taken for arguments of the line break before
    **{"±": r"$\pm$", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$"},
    **{"–": "--", "—": "---", "…": r"\ldots{}", "“": "``", "”": "''", "‘": "`", "’": "'", "\u00a0": "~"},
    **{letter: f"$\\{name}$" for letter, name in _GREEK.items()},
    **{"²": r"$^2$", "³": r"$^3$", "ⁿ": r"$^n$", "→": r"$\to$", "∞": r"$\infty$", "‖": r"$\Vert$"},
}
_LATIN = 0x17F  # up to here pdflatex knows letters, in its default encoding all but these:
_NO_GLYPH = frozenset("«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")


def latex(report: Report) -> str:
    """One table environment; below it, as comments, what each number cost and the jobs that it comes from."""
    spec, grid = report.spec, main_grid(report)
    wide = len(grid.head) > _WIDE
    kind = "table*" if wide else "table"
    label = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")
    caption = escape(f"{spec.title}. {spec.caption}".strip() if spec.caption else spec.title)
    lines = [
        f"% {_comment(command(spec))}",
        r"% needs \usepackage{booktabs}" + (r" and \usepackage{graphicx}" if wide else ""),
        rf"\begin{{{kind}}}[t]",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{label}}}",
        r"\footnotesize" if wide else r"\small",
        *([_SHRUNK] if wide else []),
        *_tabular(grid),
        *(["}"] if wide else []),
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\footnotesize {escape(' '.join(notes(report)))}}}",
        rf"\end{{{kind}}}",
        *_provenance(report),
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """The text as pdflatex prints it; letters it has no font for appear as their code points."""
    return "".join(_ESCAPED.get(char) or _char(char) for char in text)


def _char(char: str) -> str:
    if ord(char) <= _LATIN and char.isprintable() and char not in _NO_GLYPH:
        return char
    return rf"\texttt{{U+{ord(char):04X}}}"


def _tabular(grid: Grid) -> Iterator[str]:
    columns = len(grid.head)
    yield rf"\begin{{tabular}}{{@{{}}l{'r' * columns}@{{}}}}"
    yield r"\toprule"
    yield _line(["", *map(escape, grid.head)])
    yield r"\midrule"
    grouped = any(row.kind == "group" for row in grid.rows)
    for place, row in enumerate(grid.rows):
        if row.kind == "group":
            if place:
                yield r"\addlinespace"
            yield rf"\multicolumn{{{columns + 1}}}{{@{{}}l}}{{\textit{{{escape(row.label)}}}}} \\"
        else:
            yield _line([_label(row, grouped), *map(_mark, row.texts)])
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _label(row: Row, grouped: bool) -> str:
    indent = r"\quad " if grouped else ""
    return indent + (rf"\quad \textit{{{escape(row.label)}}}" if row.kind == "published" else escape(row.label))


def _mark(text: Text) -> str:
    return (rf"\textbf{{{escape(text.text)}}}" if text.bold else escape(text.text)) + escape(text.behind)


def _line(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"


def _provenance(report: Report) -> Iterator[str]:
    sha = {job.job_key: job.git_sha or code(job) for job in report.jobs}
    for cell in report.cells:
        if cell.jobs:
            ran = ", ".join(dict.fromkeys(sha.get(key, "of no commit") for key in cell.jobs))
            yield f"% {_comment(cell.row)}, {_comment(cell.column)}: {cost(cell)}; jobs {' '.join(cell.jobs)}; code {_comment(ran)}"


def _comment(text: str) -> str:
    return " ".join(text.split())
