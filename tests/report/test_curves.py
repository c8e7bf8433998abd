"""Curves as numbers, and the drawing's ids, colours and words."""

from __future__ import annotations

import re

import pytest

from nftlab.report.cells import cells
from nftlab.report.curves import panels, series
from nftlab.report.figures import svg
from tests.report.factory import Jobs, curve, spec_of


def test_a_series_is_mean_and_deviation_over_jobs() -> None:
    first = [{"epoch": 1, "val/error": 10.0}, {"epoch": 2, "val/error": 4.0}, {"epoch": 3, "val/error": float("nan")}]
    second = [{"epoch": 1, "val/error": 14.0}, {"epoch": 2, "train/error": 1.0}, {"epoch": 3, "val/error": 3.0}]
    found = series("val/error", [first, second])
    assert (found.epochs, found.mean, found.n) == ((1, 2, 3), (12.0, 4.0, 3.0), (2, 1, 1))
    assert found.low == pytest.approx((12 - 8**0.5, 4.0, 3.0))
    assert found.high == pytest.approx((12 + 8**0.5, 4.0, 3.0))


def test_no_rows_make_an_empty_series() -> None:
    assert series("val/error", []).epochs == ()


def table() -> tuple[Jobs, dict[str, list[dict[str, float]]]]:
    jobs = Jobs()
    for config in ({"algorithm": "nft", "network": "cnn-a"}, {"algorithm": "ct"}, {"algorithm": "nft"}):
        jobs.trial(config, val=[1.0, 2.0, 3.0], test=[1.0, 2.0, 3.0])
    return jobs, {job.job_key: curve(90, 10, job.seed) for job in jobs}


def test_panels_follow_the_table_and_names_keep_their_place() -> None:
    jobs, curves = table()
    found = panels(cells(jobs, spec_of()), spec_of(), curves)
    assert [panel.title for panel in found] == ["FC-A, digits", "CNN-A, digits"]
    assert [[(curve.name, curve.place) for curve in panel.curves] for panel in found] == [[("CT", 0), ("NFT", 1)], [("NFT", 1)]]
    assert [panel.missing for panel in found] == [(), ("CT",)]
    assert [series.name for series in found[0].curves[0].series] == ["val/error", "train/error"]
    assert found[0].curves[0].series[0].n == (3,) * 20


def test_only_printed_jobs_are_drawn() -> None:
    jobs, curves = table()
    jobs.add({"algorithm": "ct"}, 3, diverged=True)
    curves[jobs[-1].job_key] = curve(90, 90, 0)
    (panel, _) = panels(cells(jobs, spec_of()), spec_of(), curves)
    assert panel.curves[0].series[0].n == (3,) * 20


def test_the_switch_is_where_the_method_leaves_the_data_as_they_are() -> None:
    jobs = Jobs()
    jobs.trial({"algorithm": "nft", "ratio_simp": 0.85}, val=[1.0, 2.0, 3.0], test=[1.0, 2.0, 3.0])
    jobs.trial({"algorithm": "ct"}, val=[1.0, 2.0], test=[1.0, 2.0])
    curves = {job.job_key: curve(90, 10, job.seed) for job in jobs}
    (panel, _) = panels(cells(jobs, spec_of()), spec_of(), curves, ("val/loss",))
    assert [(one.name, one.switch, one.mark) for one in panel.curves] == [("CT", None, "2/3"), ("NFT", 17.0, "")]
    drawn = svg(panel, "p")
    for told in ("CT (2/3)", "NFT", "validation loss"):
        assert told in drawn
    assert drawn.count("data as they are from here") == 1


def test_the_drawing_stands_alone_in_a_page() -> None:
    jobs, curves = table()
    panel = panels(cells(jobs, spec_of()), spec_of(), curves)[0]
    drawn = svg(panel, "p7")
    assert drawn == svg(panel, "p7")
    assert drawn.startswith('<svg role="img" aria-label="Error over epochs, FC-A, digits.')
    assert "var(--curve-1)" in drawn
    assert "<metadata>" not in drawn
    assert all(found.startswith("p7-") for found in re.findall(r'\bid="([^"]*)"', drawn))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', drawn)) <= set(re.findall(r'\bid="([^"]*)"', drawn))


def test_a_user_s_matplotlib_settings_do_not_change_the_drawing() -> None:
    import matplotlib as mpl

    jobs, curves = table()
    panel = panels(cells(jobs, spec_of()), spec_of(), curves)[1]
    drawn = svg(panel, "p")
    with mpl.rc_context({"lines.color": "red", "font.size": 30, "axes.facecolor": "pink"}):
        assert svg(panel, "p") == drawn
        assert mpl.rcParams["font.size"] == 30
