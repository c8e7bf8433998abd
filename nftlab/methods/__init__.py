"""Training methods, one file each, written for one trial; `METHODS` is the whole registry."""

from nftlab.methods.base import Method, Network, Pass, Plan
from nftlab.methods.classic import Classic
from nftlab.methods.neural_friendly import NeuralFriendly

METHODS: dict[str, type[Method]] = {
    "ct": Classic,
    "nft": NeuralFriendly,
}

__all__ = ["METHODS", "Classic", "Method", "Network", "NeuralFriendly", "Pass", "Plan"]
