"""Images that stay in their files until they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from natrl.data.contents import contents, file_contents
from natrl.data.labels import labels_of
from natrl.data.parts import Part
from natrl.data.raw import RawData
from natrl.files.paths import absolute

__all__ = ["FilePart", "read_folder"]

LARGEST_DEFAULT = 224  # pixels; larger images are shrunk to this unless image_size says otherwise
STATISTICS_SAMPLE = 1000  # images from which mean and deviation are taken; reading all may take hours
FOLDER_LAYOUT = "PATH/CLASS/image.png, or PATH/train/CLASS/image.png beside PATH/val and PATH/test"


@dataclass(frozen=True, eq=False)
class FilePart(Part):
    """Images that a torch Dataset reads one by one, as PIL images or tensors (C, H, W)."""

    source: Dataset[Any]
    labels: np.ndarray  # of the images in `indices`
    indices: np.ndarray  # int64 (N,), positions in the source
    image_channels: int = 3  # 3: grey images become RGB

    @property
    def channels(self) -> int:
        return self.image_channels

    @property
    def size(self) -> int:
        image = v2.functional.to_image(_read(self.source, 0))  # the same one, whatever the split
        return min(LARGEST_DEFAULT, *image.shape[-2:])

    def take(self, indices: np.ndarray) -> FilePart:
        return replace(self, labels=self.labels[indices], indices=self.indices[indices])

    def statistics(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Of a random sample of at most 1,000 images."""
        sample = np.random.default_rng(seed).permutation(len(self.labels))[:STATISTICS_SAMPLE]
        plain = self.take(sample).dataset(size, torch.zeros(self.channels), torch.ones(self.channels))
        images = (plain[i][0].double() for i in range(len(plain)))
        mean, square = torch.stack([torch.stack((x.mean((1, 2)), x.square().mean((1, 2)))) for x in images]).mean(0)
        return mean.float(), (square - mean.square()).clamp_min(0).sqrt().float()

    def dataset(self, size: int, mean: Tensor, std: Tensor) -> FileImages:
        steps = [
            *([v2.RGB()] if self.channels == 3 else []),
            v2.ToImage(),
            v2.Resize(size),
            v2.CenterCrop(size),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean.tolist(), std.tolist()),
            v2.ToPureTensor(),
        ]
        return FileImages(self.source, self.labels, self.indices, v2.Compose(steps))

    def transformed(self, transform: Callable[[Any], Tensor]) -> FileImages:
        steps = [*([v2.RGB()] if self.channels == 3 else []), transform]
        return FileImages(self.source, self.labels, self.indices, v2.Compose(steps))

    def picture(self) -> Any:
        image = _read(self.source, int(self.indices[0]))
        return v2.RGB()(image) if self.channels == 3 else image


@dataclass(frozen=True, eq=False)
class FileImages(Dataset[Any]):
    """Reads, resizes (the shorter side, then the centre is cut out) and normalises an image when it is asked for."""

    source: Dataset[Any]
    labels: np.ndarray
    indices: np.ndarray
    transform: Callable[[Any], Tensor]

    def __len__(self) -> int:
        return len(self.indices)

    def __described__(self) -> Any:
        """For digests: the files where there are some, wherever their folder lies, else what the source gives."""
        samples = getattr(self.source, "samples", None) or getattr(self.source, "_samples", None)
        if samples is None:
            return contents(self.source), self.labels, self.indices, self.transform
        paths = [str(samples[i][0]) for i in self.indices]
        return file_contents(paths, str(getattr(self.source, "root", ""))), self.labels, self.transform

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(_read(self.source, int(self.indices[index]))), int(self.labels[index])


def _read(source: Dataset[Any], index: int) -> Any:
    try:
        return source[index][0]
    except OSError as error:
        raise ValueError(f"image {index} of the data cannot be read: {error}") from error


def read_folder(path: str) -> RawData:
    """A folder of one subfolder a class, or of the folders train, val and test of such subfolders.

    Where there is no test folder, half of val is for the test; where there is no val, validation images are taken from
    train.
    """
    root = absolute(path)
    if not root.is_dir():
        raise ValueError(f"data 'folder:{path}': there is no such folder; expected {FOLDER_LAYOUT}")
    if not (root / "train").is_dir():
        names, whole = _open_folder(root)
        return RawData(f"folder:{path}", names, whole)
    found = {name: _open_folder(root / name) for name in ("train", "val", "test") if (root / name).is_dir()}
    names, train = found.pop("train")
    for name, (others, _) in found.items():
        if others != names:
            raise ValueError(f"data 'folder:{path}': train has classes {_some(names)}, but {name} has {_some(others)}")
    parts = {name: part for name, (_, part) in found.items()}
    return RawData(f"folder:{path}", names, train, validation=parts.get("val"), test=parts.get("test"))


def _open_folder(folder: Path) -> tuple[tuple[str, ...], FilePart]:
    try:
        images = ImageFolder(folder)
    except FileNotFoundError as error:
        raise ValueError(f"data folder {folder}: {str(error).rstrip('. ')}; expected {FOLDER_LAYOUT}") from None
    if len(images.classes) < 2:
        raise ValueError(f"data folder {folder}: one class ({images.classes[0]}); classification needs at least 2")
    return tuple(images.classes), FilePart(images, labels_of(images), np.arange(len(images)))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f", … ({len(names)})" if len(names) > 5 else "")
