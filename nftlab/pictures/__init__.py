"""Figures that need networks and examples: jobs of a report, trained again up to the epochs that are wanted, and what is seen then."""

from nftlab.pictures.make import Subject, make, subjects
from nftlab.pictures.snapshots import Snapshot, snapshots

__all__ = ["Snapshot", "Subject", "make", "snapshots", "subjects"]
