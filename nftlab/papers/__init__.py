"""Papers: which tables and figures there are, the sweeps that fill them, and scaled-down copies of those."""

from nftlab.papers.manifest import Item, Paper, load_paper, papers
from nftlab.papers.plan import NOT_MEASURED, SweepPlan, item_sweeps, planned
from nftlab.papers.scale import scaled

__all__ = ["NOT_MEASURED", "Item", "Paper", "SweepPlan", "item_sweeps", "load_paper", "papers", "planned", "scaled"]
