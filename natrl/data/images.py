"""The data set as the rest of natrl sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from natrl.data.examples import Examples

__all__ = ["ImageData"]


@dataclass(frozen=True)
class ImageData(Examples):
    """A classification data set: three disjoint splits of (float32 (C, H, W) normalised, int label) pairs.

    `augmentation` holds what is right for these images in training (crop and flip).
    """

    items: ClassVar[str] = "images"

    num_classes: int
    image_size: int  # height = width in pixels
    image_channels: int
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"data {self.name!r}: classification needs at least 2 classes, got {self.num_classes}")
        if len(self.class_names) != self.num_classes:
            raise ValueError(f"data {self.name!r}: {len(self.class_names)} names for {self.num_classes} classes")

    def _besides(self) -> tuple[Any, ...]:
        return (self.num_classes,)
