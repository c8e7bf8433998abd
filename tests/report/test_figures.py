"""Figures of reports: the numbers in them, what is missing in them, and the same bytes each time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nftlab.errors import UsageError
from nftlab.report import Report, render, write
from nftlab.report.canvas import PRINT, styled
from nftlab.report.draw import draw
from nftlab.report.figures import panels_of, sheet
from nftlab.report.points import AxisPanel
from tests.report.factory import Jobs, curve, report_of, spec_of

NOISE = """
title: Noise
rows: {lr: [0, 0.001, 0.01]}
columns: {algorithm: {CT: ct, NFT: nft}}
figure: {axis: lr}
""".replace("[0,", "[0.0001,")
CURVES = """
title: Curves
rows: {algorithm: {CT: ct, FT: ft, NFT: nft}}
columns: {dataset: [digits]}
figure: {curves: [[test/error, train/error], [train/loss]]}
"""


def noise() -> Report:
    """CT everywhere; NFT with two seeds in one place, with none in another."""
    jobs = Jobs()
    for place, lr in enumerate((1e-4, 1e-3, 1e-2)):
        jobs.trial({"algorithm": "ct", "lr": lr}, val=[9.0] * 3, test=[10.0 + place, 11.0 + place, 12.0 + place])
    jobs.trial({"algorithm": "nft", "lr": 1e-4}, val=[9.0] * 2, test=[7.0, 9.0])
    jobs.trial({"algorithm": "nft", "lr": 1e-2}, val=[9.0] * 3, test=[5.0, 5.0, 5.0])
    return report_of(jobs, spec_of(NOISE))


def curves() -> Report:
    jobs = Jobs()
    for algorithm in ("ct", "nft"):
        jobs.trial({"algorithm": algorithm, "ratio_simp": 0.5}, val=[9.0] * 3, test=[10.0] * 3)
    rows = {
        job.job_key: [{**row, "test/error": row["val/error"] + 1, "train/loss": 0.5} for row in curve(90, 10, job.seed)] for job in jobs
    }
    return report_of(jobs, spec_of(CURVES), rows)


def test_an_axis_has_a_line_a_column_and_keeps_its_holes() -> None:
    (panel,) = panels_of(noise())
    assert isinstance(panel, AxisPanel)
    ct, nft = panel.tracks
    assert [(point.x, point.mean, point.std, point.n) for point in ct.points] == [
        (1e-4, 11.0, 1.0, 3),
        (1e-3, 12.0, 1.0, 3),
        (1e-2, 13.0, 1.0, 3),
    ]
    assert [(point.mean, point.partial) for point in nft.points] == [(8.0, True), (None, False), (5.0, False)]
    assert panel.logarithmic


def test_the_drawing_of_an_axis_names_what_is_missing() -> None:
    drawn = render(noise(), "svg")
    for told in ("CT", "NFT", "test error, %", "fewer seeds than asked for", "no finished run"):
        assert told in drawn
    assert "nothing at 0.001" in render(noise(), "html")


def test_curves_have_a_panel_a_picture_and_name_what_is_missing() -> None:
    found = panels_of(curves())
    assert [[series.name for series in panel.curves[0].series] for panel in found] == [["test/error", "train/error"], ["train/loss"]]
    assert {panel.missing for panel in found} == {("FT",)}
    drawn = render(curves(), "svg")
    assert "test (solid) and" in drawn
    assert "training (dashed) error, %" in drawn
    assert "no finished run: FT" in drawn
    told = json.loads(render(curves(), "json"))["figure"]
    assert [(panel["values"], len(panel["curves"][0]["series"][0]["mean"])) for panel in told] == [
        (["test/error", "train/error"], 20),
        (["train/loss"], 20),
    ]
    assert told[0]["curves"][0]["switch"] == 10.0


@pytest.mark.parametrize("make", [noise, curves])
@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_same_jobs_give_the_same_file(make: type, kind: str) -> None:
    drawn = sheet(panels_of(make()), kind)  # type: ignore[arg-type]
    assert drawn == sheet(panels_of(make()), kind)  # type: ignore[arg-type]
    assert drawn.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind])


@pytest.mark.parametrize("make", [noise, curves])
def test_without_any_run_every_panel_is_there_and_says_so(make: type) -> None:
    empty = report_of(Jobs(), make().spec)
    assert len(panels_of(empty)) == len(panels_of(make()))
    assert "no finished run" in render(empty, "svg")


def test_a_figure_is_written_beside_its_table(tmp_path: Path) -> None:
    paths = write(noise(), tmp_path)
    assert sorted(path.name for path in paths.values()) == [
        f"table.{suffix}" for suffix in ("csv", "html", "md", "pdf", "png", "svg", "tex")
    ]
    assert paths["svg"].read_text() == render(noise(), "svg")


def test_a_table_without_curves_has_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        render(report_of(Jobs(), spec_of()), "svg")


@pytest.mark.parametrize(("make", "width"), [(noise, 3.3), (curves, 6.6)])
def test_a_file_fits_the_columns_of_a_page_with_text_that_can_be_read_there(make: type, width: float) -> None:
    drawn = render(make(), "svg")
    found = re.search(r'width="([\d.]+)pt"', drawn)
    assert found
    assert float(found[1]) == pytest.approx(72 * width)
    sizes = {float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", drawn)}
    assert sizes
    assert min(sizes) >= 7


@pytest.mark.parametrize("make", [noise, curves])
def test_a_legend_hides_nothing_of_its_picture(make: type) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for panel in panels_of(make()):
        with styled(PRINT):
            figure = Figure(figsize=(3.3, 2.4), layout="constrained")
            axes = figure.add_subplot()
            draw(axes, panel, PRINT)
            FigureCanvasAgg(figure).draw()
            legend = axes.get_legend()
            assert legend
            inside, around = legend.get_window_extent(), axes.xaxis.get_tightbbox()
            assert around
            assert inside.y1 <= around.y0 + 1
            assert inside.y0 >= 0
            assert inside.x0 >= 0
            assert inside.x1 <= figure.bbox.width


def test_near_places_of_an_axis_are_told_apart() -> None:
    text = NOISE.replace("[0.0001, 0.001, 0.01]", "[1.5e-4, 2e-4, 0.001, 0]").replace("lr", "weight_decay")
    drawn = render(report_of(Jobs(), spec_of(text)), "svg")
    for place in ("1.5e-4", "2e-4", "0.001", "0"):
        assert f">{place}</text>" in drawn
