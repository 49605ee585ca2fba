"""What a user's own loop trains on: torch's DataLoaders, of which the images are taken as they come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    default_collate,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
)

from natrl.data.examples import ImageData
from natrl.data.labels import class_names, labels_of
from natrl.data.raw import HELD_OUT
from natrl.data.splits import stratified_split, TEST_SEED

__all__ = ["from_loaders", "source_of"]

PREPARED = "as the loaders give them"
FROM_TRAINING = "a fifth of the training loader's, which a network of yours may have seen"
HALF = "half of the validation loader's"


def from_loaders(name: str, loaders: Mapping[str, DataLoader[Any]]) -> ImageData:
    """The data sets behind the loaders; their transforms have done all that is done to an image.

    `loaders`: "train", and "validation", "test" or both. What is missing is drawn as `natrl.data.load_data` draws it,
    whatever the seed. Of a SubsetRandomSampler, which often tells training from validation, its images alone are taken.
    Batch sizes, shuffling and workers are natrl's. ValueError where a loader gives something else than square images,
    float (C, H, W), with labels, or draws images or makes its batches in a way of its own.
    """
    parts = {part: _dataset(part, loader) for part, loader in loaders.items()}
    labels = labels_of(parts["train"])
    origins = dict.fromkeys(("validation", "test"), "the loader's own")
    if "validation" not in parts:
        parts["train"], parts["validation"] = _halved(parts["train"], HELD_OUT)
        origins["validation"] = FROM_TRAINING
    if "test" not in parts:
        parts["validation"], parts["test"] = _halved(parts["validation"], 0.5)
        origins = dict.fromkeys(origins, HALF)
    count = 1 + max(int(labels_of(part).max()) for part in parts.values())
    image = parts["train"][0][0]
    names = class_names(loaders["train"].dataset, labels)
    return ImageData(
        name,
        parts["train"],
        parts["validation"],
        parts["test"],
        num_classes=count,
        image_size=image.shape[-1],
        image_channels=image.shape[0],
        class_names=names if len(names) == count else tuple(map(str, range(count))),
        preprocessing=PREPARED,
        origins=origins,
    )


def _dataset(part: str, loader: DataLoader[Any]) -> Dataset[Any]:
    dataset = source_of(part, loader)
    image = dataset[0][0]
    if not isinstance(image, Tensor) or not image.is_floating_point():
        raise ValueError(f"the {part} loader gives {_kind(image)}, not float tensors: add a transform that makes them")
    if image.dim() != 3 or image.shape[1] != image.shape[2]:
        raise ValueError(f"images must be square, (C, H, W), got {tuple(image.shape)} from the {part} loader")
    return dataset


def source_of(part: str, loader: DataLoader[Any]) -> Dataset[Any]:
    """The data set behind a loader, as far as it draws from it. ValueError where it does in a way of its own."""
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset):
        raise ValueError(f"the {part} loader reads a stream: natrl needs a data set of known length")
    if loader.collate_fn is not default_collate:
        raise ValueError(
            f"the {part} loader makes its batches by a function of its own (collate_fn), which natrl would leave out: "
            "give optimize your score and tune instead"
        )
    if not len(dataset):  # type: ignore[arg-type]  # torch's Dataset declares no length
        raise ValueError(f"the {part} loader's data set is empty")
    return _drawn(part, loader)


def _drawn(part: str, loader: DataLoader[Any]) -> Dataset[Any]:
    """The images that the loader's sampler draws from its data set."""
    sampler = loader.sampler
    if type(loader.batch_sampler) is BatchSampler:
        if type(sampler) is SubsetRandomSampler:
            return Subset(loader.dataset, sorted(sampler.indices))
        if type(sampler) is SequentialSampler or (type(sampler) is RandomSampler and not sampler.replacement):
            return loader.dataset
    way = type(sampler if type(loader.batch_sampler) is BatchSampler else loader.batch_sampler).__name__
    raise ValueError(
        f"the {part} loader draws its images in a way of its own ({way}), which natrl would leave out: give loaders "
        "that shuffle or do not, or give optimize your score and tune instead"
    )


def _kind(image: Any) -> str:
    return f"tensors of {image.dtype}" if isinstance(image, torch.Tensor) else type(image).__name__


def _halved(dataset: Dataset[Any], share: float) -> tuple[Dataset[Any], Dataset[Any]]:
    labels = labels_of(dataset)
    parts = stratified_split(labels, [round(share * len(labels))], seed=TEST_SEED)
    first, second = (Subset(dataset, np.asarray(part).tolist()) for part in parts)
    return first, second
