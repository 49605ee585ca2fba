"""Parts of a data set as they were read, and how they become normalised data sets. Images in memory are here.

N images, C channels, H = W = image size in pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, TensorDataset

__all__ = ["ArrayPart", "Part"]

RESIZED_AT_ONCE = 1000  # images; bounds the memory for their copies as float32


class Part(ABC):
    """Images that belong together, not yet resized and normalised."""

    labels: np.ndarray  # int64 (N,), in [0, classes)
    white: float = 1.0  # the value that stands for 1 where images are said to be in [0, 1]

    @property
    @abstractmethod
    def channels(self) -> int:
        """C."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Image size in pixels unless another is asked for."""

    @abstractmethod
    def take(self, indices: np.ndarray) -> Part:
        """The part of those images."""

    @abstractmethod
    def statistics(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel, float32 (C,), at that image size."""

    @abstractmethod
    def dataset(self, size: int, mean: Tensor, std: Tensor) -> Dataset[Any]:
        """Resized, and normalised to (image − mean) / std."""

    @abstractmethod
    def transformed(self, transform: Callable[[Any], Tensor]) -> Dataset[Any]:
        """What a function makes of each image, which it takes as a PIL image, or as a tensor (C, H, W)."""

    @abstractmethod
    def picture(self) -> Any:
        """The first image as such a function takes it."""


@dataclass(frozen=True, eq=False)
class ArrayPart(Part):
    """Square images in memory, (N, C, H, W) of any number type; they become a TensorDataset."""

    images: Tensor
    labels: np.ndarray
    white: float = 0.0  # 0: 255 of 8-bit images, 1 of others

    def __post_init__(self) -> None:
        if not self.white:
            object.__setattr__(self, "white", 255.0 if self.images.dtype == torch.uint8 else 1.0)

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    @property
    def size(self) -> int:
        return self.images.shape[2]

    def take(self, indices: np.ndarray) -> ArrayPart:
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def statistics(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        std, mean = torch.std_mean(self._resized(size), dim=(0, 2, 3), correction=0)
        return mean, std

    def dataset(self, size: int, mean: Tensor, std: Tensor) -> TensorDataset:
        images = self._resized(size)
        images.sub_(mean[:, None, None]).div_(std[:, None, None])
        return TensorDataset(images, torch.from_numpy(self.labels))

    def transformed(self, transform: Callable[[Any], Tensor]) -> Dataset[Any]:
        from natrl.data.files import FileImages  # torchvision is slow to import
        from natrl.data.transforms import in_memory, Pictures

        pictures = Pictures(self.images, self.white)
        return in_memory(FileImages(pictures, self.labels, np.arange(len(self.labels)), transform), self.labels)

    def picture(self) -> Any:
        from natrl.data.transforms import Pictures

        return Pictures(self.images, self.white)[0][0]

    def _resized(self, size: int) -> Tensor:
        """float32 (N, C, size, size), a copy: pixels are averaged to shrink images, interpolated to enlarge them."""
        if size == self.size:
            return self.images.to(torch.float32, copy=True)
        resized = torch.empty(len(self.images), self.channels, size, size)
        mode = "area" if size < self.size else "bilinear"
        for old, new in zip(self.images.split(RESIZED_AT_ONCE), resized.split(RESIZED_AT_ONCE), strict=True):
            new.copy_(functional.interpolate(old.float(), (size, size), mode=mode))
        return resized
