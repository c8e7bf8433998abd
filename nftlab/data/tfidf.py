"""Texts as vectors of words: TF-IDF as the NFT code computes it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import count

import numpy as np
import torch

from nftlab.data.base import Progress, silent
from nftlab.data.sparse import SparseRows

VOCABULARY = 20_000  # words that have a column
UNKNOWN = VOCABULARY  # the column of all other words
WIDTH = VOCABULARY + 2  # the last column is the published code's padding, always 0
UNKNOWN_IDF = 0.05
_EVERY = 1000  # texts between two reports of progress
_WORD = re.compile(r"\w+")


def tf_idf(texts: Iterable[str], total: int, fitted: int, progress: Progress = silent) -> SparseRows:
    """Vectors (total, 20002) of texts, words and their weights being those of the first `fitted` texts (docs/data.md).

    A word is `\\w+` of the lower-cased text. The 20,000 most frequent of the fitted texts have columns, the more frequent first, of
    equals the first seen. A value is (1 + ln occurrences in the text) · ln(fitted / texts with the word); column 20,000 holds
    (1 + ln occurrences of all other words) · 0.05, or 0.
    """
    words, lengths = _tokens(texts, total, progress)
    text = np.repeat(np.arange(len(lengths)), lengths)
    seen = int(lengths[:fitted].sum())
    occurrences = np.bincount(words[:seen], minlength=words.max(initial=-1) + 1)
    frequent = np.argsort(-occurrences, kind="stable")[:VOCABULARY]  # words are numbered as they were first seen
    frequent = frequent[occurrences[frequent] > 0]
    column = np.full(len(occurrences), UNKNOWN)
    column[frequent] = np.arange(len(frequent))
    one_each = np.arange(len(lengths)) * WIDTH + UNKNOWN  # every text has the column of unknown words, so that no row is without an entry
    entries, often = np.unique(np.concatenate([text * WIDTH + column[words], one_each]), return_counts=True)
    rows, columns = np.divmod(entries, WIDTH)
    often[columns == UNKNOWN] -= 1
    documents = np.bincount(columns[rows < fitted], minlength=WIDTH)
    idf = np.array([math.log(fitted / max(texts_with, 1)) for texts_with in documents.tolist()])
    idf[UNKNOWN] = UNKNOWN_IDF
    tf = np.array([0.0, *(1 + math.log(times) for times in range(1, int(often.max()) + 1))])
    starts = np.concatenate([[0], np.bincount(rows, minlength=len(lengths)).cumsum()])
    values = (tf[often] * idf[columns]).astype(np.float32)
    return SparseRows.of(torch.from_numpy(starts), torch.from_numpy(columns.astype(np.int32)), torch.from_numpy(values), WIDTH)


def _tokens(texts: Iterable[str], total: int, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """The words of all texts, numbered as they are first seen, (tokens,) int64, and how many each text has, (texts,)."""
    number: defaultdict[str, int] = defaultdict(count().__next__)
    words, lengths = [], []
    for done, text in enumerate(texts, 1):
        found = np.fromiter(map(number.__getitem__, _WORD.findall(text.lower())), np.int32)
        words.append(found)
        lengths.append(len(found))
        if done % _EVERY == 0 or done == total:
            progress("counting words", done, total)
    return np.concatenate(words).astype(np.int64), np.array(lengths)
