"""nftlab: from a sweep file to the paper's table, mean ± std over seeds, on one laptop or a cluster."""

__version__ = "0.1.0"
