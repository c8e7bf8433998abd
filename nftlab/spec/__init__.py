"""Sweep files: W&B's grammar and our settings under `nftlab:`, read, checked and expanded into trials."""

from nftlab.spec.choosers import Pruner, Sampler, rungs
from nftlab.spec.load import load, load_all, load_text, pruner_of, wandb_places
from nftlab.spec.model import Metric, Sweep, Trial, job_key
from nftlab.spec.space import Axis, Search

__all__ = [
    "Axis",
    "Metric",
    "Pruner",
    "Sampler",
    "Search",
    "Sweep",
    "Trial",
    "job_key",
    "load",
    "load_all",
    "load_text",
    "pruner_of",
    "rungs",
    "wandb_places",
]
