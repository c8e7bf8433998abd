"""From the job table to a paper's table: load a report file, build its cells, render or explain them."""

from nftlab.report.build import Report, build
from nftlab.report.cells import Cell, cells
from nftlab.report.explain import explain, explain_json
from nftlab.report.export import as_dict, frame
from nftlab.report.files import write
from nftlab.report.find import reports
from nftlab.report.layout import Grid, cost_grid, main_grid, paired_grid
from nftlab.report.load import load_report
from nftlab.report.model import ReportSpec
from nftlab.report.notes import notes
from nftlab.report.render import FORMATS, render
from nftlab.report.scale import at_scale, check_scale, scaled_name

__all__ = [
    "FORMATS",
    "Cell",
    "Grid",
    "Report",
    "ReportSpec",
    "as_dict",
    "at_scale",
    "build",
    "cells",
    "check_scale",
    "cost_grid",
    "explain",
    "explain_json",
    "frame",
    "load_report",
    "main_grid",
    "notes",
    "paired_grid",
    "render",
    "reports",
    "scaled_name",
    "write",
]
