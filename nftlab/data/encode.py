"""Texts as vectors by a pretrained sentence encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nftlab.errors import ConfigError, DataError

DEFAULT = "paraphrase-distilroberta-base-v1"  # of the NFT code: mean pooling, 768 numbers
Encode = Callable[[list[str]], np.ndarray]  # m texts → (m, width) float32


def sentence_encoder(name: str) -> tuple[Encode, str]:
    """The sentence-transformers model of this name or in this folder, and its name and pooling in words.

    Raises ConfigError when sentence-transformers is not installed, DataError when there is no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError("encoding texts needs sentence-transformers", "pip install 'nftlab[text]'") from error
    try:
        model = SentenceTransformer(name)
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot load the sentence encoder {name!r} ({reason})", "name one that can be reached, or its folder") from error

    def encode(texts: list[str]) -> np.ndarray:
        return np.asarray(model.encode(texts, show_progress_bar=False, convert_to_numpy=True), dtype=np.float32)

    modes = [module.pooling_mode for module in model if hasattr(module, "pooling_mode")]
    poolings = (mode if isinstance(mode, str) else "+".join(mode) for mode in modes)
    return encode, ", ".join([name, *(f"{pooling} pooling" for pooling in poolings)])
