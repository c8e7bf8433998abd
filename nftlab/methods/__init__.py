"""Training methods, one file each, written for one trial; `METHODS` is the whole registry."""

from nftlab.methods.base import Method, Network, Pass, Plan
from nftlab.methods.classic import Classic
from nftlab.methods.easy_examples_first import EasyExamplesFirst
from nftlab.methods.fine_pruning import FinePruning
from nftlab.methods.friendly import Friendly
from nftlab.methods.neural_friendly import NeuralFriendly

METHODS: dict[str, type[Method]] = {
    "ct": Classic,
    "eef": EasyExamplesFirst,
    "ft": Friendly,
    "nft": NeuralFriendly,
    "fine-pruning": FinePruning,
}

__all__ = ["METHODS", "Classic", "EasyExamplesFirst", "FinePruning", "Friendly", "Method", "Network", "NeuralFriendly", "Pass", "Plan"]
