"""Search: Optuna's samplers propose the trials of a sweep."""

from nftlab.search.propose import Proposer

__all__ = ["Proposer"]
