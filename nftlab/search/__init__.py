"""Search: Optuna's samplers propose the trials of a sweep, and pruners end jobs that fall behind."""

from nftlab.search.propose import Proposer
from nftlab.search.referee import Referee

__all__ = ["Proposer", "Referee"]
