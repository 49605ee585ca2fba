"""A user's own data, from a Python callable."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from natrl.callables import returned_by
from natrl.data.images import ImageData, RawData
from natrl.data.labels import class_names, labels_of
from natrl.data.parts import ArrayPart, Part

__all__ = ["read_callable"]


def read_callable(target: str) -> ImageData | RawData:
    """What "module:callable" returns when it is called without arguments.

    ImageData as it is; (images, labels) as arrays or tensors: (N, H, W), (N, C, H, W) or (N, H, W, C) square images and
    N labels, split like any other data; or (train, test) as torch data sets of (image, label). Training images are
    cropped, but not mirrored: return ImageData to say otherwise. The current folder is on the path meanwhile.
    """
    returned = returned_by(target, "data")
    if isinstance(returned, ImageData):
        return returned
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise ValueError(
            f"data {target!r}: expected ImageData, (images, labels) or (train, test) data sets, "
            f"got {type(returned).__name__}"
        )
    try:
        if all(isinstance(part, Dataset) for part in returned):
            return _from_datasets(target, *returned)
        return _from_arrays(target, *returned)
    except (TypeError, ValueError) as error:
        raise ValueError(f"data {target!r}: {error}") from None


def _from_arrays(name: str, images: Any, labels: Any) -> RawData:
    tensor = _square_images(images)
    labels = np.asarray(labels)
    if labels.shape != (len(tensor),):
        raise ValueError(f"{len(tensor)} images need labels of shape ({len(tensor)},), got {labels.shape}")
    if labels.dtype.kind == "f":
        raise ValueError("labels must be whole numbers or names, got floating-point numbers")
    classes, numbers = np.unique(labels, return_inverse=True)
    return RawData(name, tuple(map(str, classes)), ArrayPart(tensor, numbers.astype(np.int64)), flip=False)


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


def _from_datasets(name: str, train: Dataset[Any], test: Dataset[Any]) -> RawData:
    parts = _from_dataset(train), _from_dataset(test)
    count = int(parts[0].labels.max()) + 1
    for part in parts:
        if part.labels.min() < 0 or part.labels.max() >= count:
            raise ValueError(f"labels must lie in 0 … {count - 1}, the range of the training part")
    return RawData(name, class_names(train, parts[0].labels), parts[0], test=parts[1], flip=False)


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
