"""Data whose labels are no classes of images: several labels, numbers, pixels. Inputs are taken as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from natrl.checks.errors import said
from natrl.data.contents import contents
from natrl.data.examples import Examples
from natrl.data.labels import size_of
from natrl.data.loaders import source_of
from natrl.data.loading import read
from natrl.data.own import all_loaders, named_parts
from natrl.data.passes import in_parts, taken
from natrl.data.raw import FROM_ALL, FROM_TRAINING, HALF, HELD_OUT, OWN, TEST_FROM_ALL
from natrl.data.splits import TEST_SEED
from natrl.data.targets import Targets

__all__ = ["load_examples"]

MOST_LOOKED_AT = 256  # items of a data set that is not in memory whose labels are looked at
_Part = tuple[Dataset[Any], str, np.ndarray | None]  # with where it comes from, and which ones they are of that


def load_examples(data: Any, kind: Targets, *, seed: int = 0) -> Examples:
    """The data, by name or themselves, in the forms of `natrl.data.own.accepted`, with labels of that kind.

    Inputs are tensors (N, …) as the network takes them, float32 or whole numbers (64-bit), and stay as they are. Parts
    that are missing are drawn like those of images (`natrl.data.load_data`), though without regard to labels.
    ValueError in one line where labels are of another kind, or the data cannot be had.
    """
    found, name = read(data)
    if isinstance(found, Examples) and type(found) is Examples:
        for part in (found.train, found.validation, found.test):
            _with_labels(part, kind)
        return found
    try:
        parts = _parts(found)
        ready = {part: _with_labels(given, kind) for part, given in parts.items()}
        train, validation, test = _split(ready, seed)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"data {name!r}: {said(error, 300)}") from None
    held = {"validation": validation, "test": test}
    return Examples(
        name,
        train,
        validation[0],
        test[0],
        origins={part: origin for part, (_, origin, _) in held.items()},
        indices={part: indices for part, (*_, indices) in held.items() if indices is not None},
    )


def _parts(found: Any) -> Mapping[str, Dataset[Any]]:
    """The parts that there are, as data sets. ValueError where these are images with classes."""
    if not isinstance(found, Mapping | tuple | list):
        raise ValueError("its labels are a class for each image")
    parts = named_parts(found)
    if parts is None:
        return {"train": _pair(found)}
    if any(isinstance(part, DataLoader) for part in parts.values()):
        return {part: source_of(part, loader) for part, loader in all_loaders(parts).items()}
    return {name: part if isinstance(part, Dataset) else _pair(part) for name, part in parts.items()}


def _pair(pair: Any) -> TensorDataset:
    inputs, labels = (
        t if isinstance(t, Tensor) else torch.from_numpy(np.require(t, requirements=("C", "W"))) for t in pair
    )
    if inputs.shape[:1] != labels.shape[:1]:
        raise ValueError(f"{len(inputs)} inputs need as many labels, got {len(labels)}")
    return TensorDataset(inputs, labels)


def _with_labels(dataset: Dataset[Any], kind: Targets) -> Dataset[Any]:
    """The same with labels as a loss takes them; all are looked at where they are in memory, else some."""
    size = size_of(dataset)
    if not size:
        raise ValueError("a data set is empty")
    if isinstance(dataset, TensorDataset):
        inputs, labels = dataset.tensors[:2]
        return TensorDataset(_as_taken(inputs), kind.of(labels))
    some = [dataset[i] for i in np.linspace(0, size - 1, min(size, MOST_LOOKED_AT)).round().astype(int).tolist()]
    _as_taken(torch.as_tensor(some[0][0]))
    kind.of(torch.stack([torch.as_tensor(label) for _, label in some]))
    return Typed(dataset, kind.dtype)


def _as_taken(inputs: Tensor) -> Tensor:
    """float32, or 64-bit whole numbers. ValueError on 8-bit images, which a network does not take as they are."""
    if inputs.dtype == torch.uint8:
        raise ValueError("inputs are of 8 bits: give them as the network takes them, floating-point and normalised")
    return inputs.float() if inputs.is_floating_point() else inputs.long()


class Typed(Dataset[Any]):
    """A data set of (input, label), as tensors of the types that networks and losses take."""

    def __init__(self, source: Dataset[Any], labels: torch.dtype) -> None:
        self.source, self.dtype = source, labels

    def __len__(self) -> int:
        return size_of(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        given, label = self.source[index]
        return _as_taken(torch.as_tensor(given)), torch.as_tensor(label).to(self.dtype)

    def __described__(self) -> Any:
        return contents(self.source), str(self.dtype)


def _split(parts: Mapping[str, Dataset[Any]], seed: int) -> tuple[Dataset[Any], _Part, _Part]:
    """Training, validation and test; what is missing is drawn. Which are for the test no seed says."""
    train, validation, test = parts["train"], parts.get("validation"), parts.get("test")
    if validation is not None:
        if test is not None:
            return train, (validation, OWN, None), (test, OWN, None)
        kept, tested = in_parts(size_of(validation), 0.5, TEST_SEED)
        return train, (taken(validation, kept), HALF, kept), (taken(validation, tested), HALF, tested)
    if test is not None:
        kept, chosen = in_parts(size_of(train), HELD_OUT, seed)
        return taken(train, kept), (taken(train, chosen), FROM_TRAINING.format(seed=seed), chosen), (test, OWN, None)
    rest, tested = in_parts(size_of(train), HELD_OUT, TEST_SEED)
    kept, chosen = (rest[part] for part in in_parts(len(rest), HELD_OUT / (1 - HELD_OUT), seed))
    drawn = taken(train, chosen), FROM_ALL.format(seed=seed), chosen
    return taken(train, kept), drawn, (taken(train, tested), TEST_FROM_ALL, tested)
