"""A user's own data, from a Python callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from natrl.data.examples import Examples, ImageData
from natrl.data.labels import class_names, labels_of
from natrl.data.loaders import from_loaders
from natrl.data.parts import ArrayPart, Part
from natrl.data.raw import RawData

__all__ = ["accept_reader", "accepted", "all_loaders", "named_parts"]

PARTS = ("train", "validation", "test")


def accept_reader(data: Any) -> Callable[..., Any]:
    """A function that returns data; what is no function is the data itself. ValueError where it can be neither."""
    if callable(data):
        return data
    if not isinstance(data, Examples | RawData | Mapping | tuple | list):
        raise ValueError(_expected(data))
    return lambda: data


def accepted(data: Any, name: str) -> ImageData | RawData:
    """Data as a function of the user's returns it.

    One of: ImageData, taken as it is; (images, labels) as arrays or tensors: (N, H, W), (N, C, H, W) or (N, H, W, C)
    square images and N labels, split like any other data; torch data sets of (image, label), or tuples
    (images, labels), as (train, test) or (train, validation, test); {"train": …, "validation": …, "test": …}, each a
    data set or (images, labels), of which validation or test may be left out. Training images are cropped, but not
    mirrored: return ImageData to say otherwise. In place of the data sets their DataLoaders, whose images are taken as
    they come out (`natrl.data.loaders`). ValueError in one line on anything else.
    """
    if isinstance(data, ImageData | RawData):
        return data
    try:
        parts = named_parts(data)
        if parts is None:
            return _from_arrays(name, *data)
        if any(isinstance(part, DataLoader) for part in parts.values()):
            return from_loaders(name, all_loaders(parts))
        return _from_parts(name, parts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"data {name!r}: {error}") from None


def named_parts(returned: Any) -> dict[str, Any] | None:
    """The parts by name; None of (images, labels). ValueError on anything else."""
    if isinstance(returned, Mapping) and "train" in returned and set(returned) <= set(PARTS):
        return dict(returned)
    if isinstance(returned, tuple | list) and len(returned) in (2, 3):
        if all(isinstance(part, Dataset | DataLoader) or _is_pair(part) for part in returned):
            names = PARTS if len(returned) == 3 else (PARTS[0], PARTS[2])
            return dict(zip(names, returned, strict=True))
        if len(returned) == 2:
            return None
    raise ValueError(_expected(returned))


def _is_pair(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) == 2


def all_loaders(parts: Mapping[str, Any]) -> Mapping[str, DataLoader[Any]]:
    """The parts, each of them a loader. ValueError where one is none, or nothing is left to choose by."""
    if other := [name for name, part in parts.items() if not isinstance(part, DataLoader)]:
        raise ValueError(f"some parts are DataLoaders, and {', '.join(other)} is not: give all of them as loaders")
    if set(parts) == {"train"}:
        raise ValueError("a training loader alone leaves nothing to choose by: give a validation or test loader, too")
    return parts


def _expected(got: Any) -> str:
    return (
        "expected ImageData, (images, labels), data sets or loaders (train, test) or (train, validation, test), or "
        f"{{'train': …, 'validation': …, 'test': …}}, got {type(got).__name__}"
    )


def _from_arrays(name: str, images: Any, labels: Any) -> RawData:
    tensor = _square_images(images)
    labels = np.asarray(labels)
    _check_labels(tensor, labels)
    if labels.dtype.kind == "f":
        raise ValueError("labels must be whole numbers or names, got floating-point numbers")
    classes, numbers = np.unique(labels, return_inverse=True)
    return RawData(name, tuple(map(str, classes)), ArrayPart(tensor, numbers.astype(np.int64)), flip=False)


def _check_labels(images: torch.Tensor, labels: np.ndarray) -> None:
    if labels.shape != (len(images),):
        raise ValueError(f"{len(images)} images need labels of shape ({len(images)},), got {labels.shape}")


def _square_images(images: Any) -> torch.Tensor:
    """(N, C, H, H) from arrays or tensors with the channels first, last or left out."""
    is_tensor = isinstance(images, torch.Tensor)
    tensor = images if is_tensor else torch.from_numpy(np.require(images, requirements=("C", "W")))
    if tensor.dim() == 3:
        tensor = tensor[:, None]
    if tensor.dim() == 4 and tensor.shape[1] > 4 >= tensor.shape[3]:
        tensor = tensor.permute(0, 3, 1, 2)
    if tensor.dim() != 4 or tensor.shape[1] > 4 or tensor.shape[2] != tensor.shape[3] or not len(tensor):
        raise ValueError(
            "images must be square, (N, H, W), (N, C, H, W) or (N, H, W, C) with at most 4 channels, "
            f"got shape {tuple(np.shape(images))}"
        )
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise ValueError("images hold values that are not finite")
    return tensor


def _from_parts(name: str, given: Mapping[str, Any]) -> RawData:
    parts = {key: _from_dataset(part) if isinstance(part, Dataset) else _from_pair(part) for key, part in given.items()}
    count = int(parts["train"].labels.max()) + 1
    for part in parts.values():
        if part.labels.min() < 0 or part.labels.max() >= count:
            raise ValueError(f"labels must lie in 0 … {count - 1}, the range of the training part")
    names = class_names(given["train"], parts["train"].labels)
    return RawData(name, names, parts["train"], parts.get("validation"), parts.get("test"), flip=False)


def _from_pair(pair: Any) -> Part:
    images, labels = pair
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise ValueError("labels of parts that are given apart must be whole numbers from 0")
    tensor = _square_images(images)
    _check_labels(tensor, labels)
    return ArrayPart(tensor, labels.astype(np.int64))


def _from_dataset(dataset: Dataset[Any]) -> Part:
    labels = labels_of(dataset)
    if not len(labels):
        raise ValueError("a data set is empty")
    if isinstance(dataset, TensorDataset):
        return ArrayPart(_square_images(dataset.tensors[0]), labels)
    from torchvision.transforms.v2.functional import to_image  # slow to import

    from natrl.data.files import FilePart

    channels = to_image(dataset[0][0]).shape[0]
    return FilePart(dataset, labels, np.arange(len(labels)), channels)
