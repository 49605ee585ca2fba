"""What a data set holds, for digests (`natrl.digests`): the same files and arrays have the same, wherever they lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from natrl.data.labels import size_of
from natrl.digests import digest

__all__ = ["contents", "file_contents"]

MOST_ITEMS = 256  # of a data set of unknown kind that are read
MOST_FILES = 10_000  # of a data set of files that are read; the others are known by their names
READERS = 8  # threads


def contents(dataset: Dataset[Any]) -> Any:
    """Something to digest in place of the data set.

    Tensors, or how the data set was made (its class and attributes) and at most 256 of its items, evenly spaced; none
    of those where they are drawn anew at each reading (random transforms).
    """
    if isinstance(dataset, TensorDataset) or hasattr(dataset, "__described__"):
        return dataset
    chosen = _spread(size_of(dataset), MOST_ITEMS)
    with torch.random.fork_rng(devices=[]):
        repeats = digest(dataset[chosen[0]]) == digest(dataset[chosen[0]]) if len(chosen) else False
        items = [digest(dataset[i]) for i in chosen] if repeats else []
    return dataset, size_of(dataset), items


def file_contents(paths: Sequence[str], root: str) -> Any:
    """The same for files in a folder: all names below it, and what at most 10,000 of the files hold, evenly spaced."""
    with ThreadPoolExecutor(READERS) as readers:
        read = list(readers.map(_file_digest, [paths[i] for i in _spread(len(paths), MOST_FILES)]))
    return [os.path.relpath(path, root) for path in paths], read


def _file_digest(path: str) -> str:
    try:
        return sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"{path} of the data cannot be read: {error.strerror or error}") from None


def _spread(size: int, most: int) -> list[int]:
    return np.linspace(0, size - 1, min(size, most)).round().astype(int).tolist() if size else []
