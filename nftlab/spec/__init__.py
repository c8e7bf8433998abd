"""Sweep files: W&B's grammar and our settings under `nftlab:`, read, checked and expanded into trials."""

from nftlab.spec.load import load, load_all, load_text
from nftlab.spec.model import Metric, Sweep, Trial, job_key

__all__ = ["Metric", "Sweep", "Trial", "job_key", "load", "load_all", "load_text"]
