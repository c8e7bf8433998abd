"""The only training loop: many trials as one program, state in and state out."""

from nftlab.train.checkpoint import Checkpoint
from nftlab.train.lane import Member
from nftlab.train.pack import EpochResult, Pack, Summary

__all__ = ["Checkpoint", "EpochResult", "Member", "Pack", "Summary"]
