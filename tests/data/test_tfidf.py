"""TF-IDF against the published formulas, word by word."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest

from nftlab.data import tfidf
from nftlab.data.tfidf import UNKNOWN, WIDTH, tf_idf

TEXTS = [
    "The film, the FILM: a good one.<br />Good!",
    "A bad film",
    "the one; the only. naïve café_3",
    "unseen words and the film film film",
    "?!",
]


def by_the_book(texts: list[str], fitted: int, vocabulary: int) -> np.ndarray:
    """The rule of docs/data.md, read literally."""
    tokens = [re.findall(r"\w+", text.lower()) for text in texts]
    words = [word for word, _ in Counter(word for text in tokens[:fitted] for word in text).most_common(vocabulary)]
    table = np.zeros((len(texts), WIDTH))
    for row, text in enumerate(tokens):
        for column, word in enumerate(words):
            if text.count(word):
                documents = sum(word in other for other in tokens[:fitted])
                table[row, column] = (1 + math.log(text.count(word))) * math.log(fitted / documents)
        unknown = sum(word not in words for word in text)
        if unknown:
            table[row, UNKNOWN] = (1 + math.log(unknown)) * 0.05
    return table


@pytest.mark.parametrize("fitted", [3, 5])
def test_values_are_those_of_the_formulas(fitted: int) -> None:
    x = tf_idf(TEXTS, len(TEXTS), fitted)
    assert x.shape == (len(TEXTS), 20_002)
    assert np.allclose(x[:].numpy(), by_the_book(TEXTS, fitted, 20_000), rtol=1e-6)
    assert x[:][:, WIDTH - 1].abs().max() == 0


@pytest.mark.parametrize("vocabulary", [1, 3, 6])
def test_words_beyond_the_vocabulary_are_unknown(vocabulary: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "VOCABULARY", vocabulary)
    assert np.allclose(tf_idf(TEXTS, len(TEXTS), 4)[:].numpy(), by_the_book(TEXTS, 4, vocabulary), rtol=1e-6)


def test_of_many_equally_frequent_words_the_first_seen_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """More words than a sort that keeps no order keeps in order by chance."""
    often = [(1 + word % 3, 3 - word % 3, word % 2) for word in range(300)]  # four or five times, now more in one text, now in another
    texts = [" ".join(f"w{word} " * times[text] for word, times in enumerate(often)) for text in range(3)]
    monkeypatch.setattr(tfidf, "VOCABULARY", 250)
    assert np.allclose(tf_idf(texts, 3, 3)[:].numpy(), by_the_book(texts, 3, 250), rtol=1e-6)


def test_progress_ends_at_the_end() -> None:
    seen: list[tuple[str, int, int]] = []
    tf_idf((text for text in TEXTS), len(TEXTS), 3, lambda *step: seen.append(step))
    assert seen == [("counting words", len(TEXTS), len(TEXTS))]
