"""Sentence encoders: the real library where it is installed, and the message where it is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nftlab.data.encode import sentence_encoder
from nftlab.data.wines import Wines
from nftlab.errors import ConfigError, DataError
from tests.data.formats import write_wines

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match=r"needs sentence-transformers; pip install 'nftlab\[text\]'"):
        sentence_encoder("any")


def test_a_library_that_gives_no_reason_is_reported_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(name: str) -> None:
        raise OSError

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=silent))
    with pytest.raises(DataError, match=r"cannot load the sentence encoder 'any' \(OSError\)"):
        sentence_encoder("any")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra nftlab[text]")
def test_a_model_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="cannot load the sentence encoder"):
        sentence_encoder(str(tmp_path / "none"))


@pytest.mark.skipif(not INSTALLED, reason="needs the extra nftlab[text]")
def test_a_model_in_a_folder_encodes_wines(tmp_path: Path) -> None:
    """A real model of the library, tiny and untrained: what is tested is the way from texts to vectors."""
    folder = tiny_model(tmp_path / "model")
    write_wines(tmp_path)
    data = Wines(str(folder))
    data.make(tmp_path)
    task = data.load(tmp_path)
    assert task.shape == (16,)
    assert task.source.endswith(f"encoded by {folder}, mean pooling")
    encode, _ = sentence_encoder(str(folder))
    texts = ["Aromas of plum", "Aromas of oak and smoke"]
    together, alone = encode(texts), np.concatenate([encode([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert not np.allclose(together[0], together[1])


def tiny_model(folder: Path) -> Path:
    """Save an untrained transformer of 16 units with mean pooling and a vocabulary of letters."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz"
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]))
    tokenizer = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    model = SentenceTransformer(modules=[Transformer(str(folder / "bert")), Pooling(config.hidden_size)], device="cpu")
    model.save(str(folder / "whole"))
    return folder / "whole"
