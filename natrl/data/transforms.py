"""Data sets whose images go through a transform of the user's, as torchvision and timm give them with their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from natrl.checks.errors import said
from natrl.digests import digest

__all__ = ["Pictures", "fill_of", "in_memory", "transformed_shape"]

MOST_IN_MEMORY = 2**30  # bytes of transformed images that are held; more are transformed whenever they are read
PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Pictures(Dataset[Any]):
    """Images in memory one by one, as transforms take them: of 8 bits as PIL images, others as tensors (C, H, W)."""

    def __init__(self, images: Tensor, white: float) -> None:
        """`images` (N, C, H, W); `white`: the value that stands for 1."""
        self.images, self.white = images, white

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image | Tensor, int]:
        image = self.images[index]
        if image.dtype != torch.uint8 or len(image) not in PIL_MODES:
            return image.float() / self.white, 0
        return Image.fromarray(image.permute(1, 2, 0).numpy().squeeze(), PIL_MODES[len(image)]), 0


def transformed_shape(name: str, transform: Callable[[Any], Tensor], picture: Any) -> tuple[int, int]:
    """Channels and image size of what a transform gives for a picture.

    ValueError in one line where it fails, gives no square image, or another one each time.
    """
    try:
        first, again = transform(picture), transform(picture)
    except Exception as error:  # whatever the user's transform raises
        raise ValueError(f"transform {name} fails on the first image: {said(error)}") from None
    if not isinstance(first, Tensor) or first.dim() != 3 or not first.is_floating_point():
        found = f"shape {tuple(first.shape)}, {first.dtype}" if isinstance(first, Tensor) else type(first).__name__
        raise ValueError(f"transform {name} must give a floating-point tensor (C, H, W), got {found}")
    if first.shape[1] != first.shape[2]:
        raise ValueError(f"transform {name} must give square images, got {tuple(first.shape)}")
    if digest(first) != digest(again):
        raise ValueError(f"transform {name} gives another image each time: give the one for evaluation")
    return first.shape[0], first.shape[1]


def in_memory(images: Dataset[Any], labels: np.ndarray) -> Dataset[Any]:
    """The transformed images as a TensorDataset, if they are not too many; else as they are."""
    size = images[0][0].numel() * 4 * len(labels)
    if size > MOST_IN_MEMORY:
        return images
    return TensorDataset(torch.stack([images[i][0].float() for i in range(len(labels))]), torch.from_numpy(labels))


def fill_of(transform: Callable[[Any], Tensor], picture: Any) -> tuple[float, ...]:
    """What the transform makes of black, a number a channel: the border of crops in training. 0 where it refuses."""
    black = torch.zeros_like(picture) if isinstance(picture, Tensor) else Image.new(picture.mode, picture.size)
    try:
        return tuple(transform(black).float().mean((1, 2)).tolist())
    except Exception:  # whatever the user's transform raises
        return (0.0,)
