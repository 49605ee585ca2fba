"""The data set as the rest of natrl sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from natrl.data.arrays import Arrays
from natrl.data.augmentation import Augmentation
from natrl.data.contents import contents
from natrl.digests import digest

__all__ = ["ImageData"]

SPLITS = ("train", "validation", "test")
AS_GIVEN = "as given"


@dataclass(frozen=True)
class ImageData:
    """A classification data set: three disjoint splits of (float32 (C, H, W) normalised, int label) pairs.

    Choices are made on `validation`; `test` is read once, for the report. `augmentation` holds what is right for these
    images in training (crop and flip; cutout is the schedule's). `origins` says in words where validation and test
    images come from, `indices` which ones they are of the part that they were taken from, where they were. Pickling
    hands images in memory over as numpy arrays: Ray's object store maps them into all processes of a machine instead of
    copying them.
    """

    name: str
    train: Dataset[Any]
    validation: Dataset[Any]
    test: Dataset[Any]
    num_classes: int
    image_size: int  # height = width in pixels
    image_channels: int
    class_names: tuple[str, ...]
    augmentation: Augmentation = field(default_factory=Augmentation)
    preprocessing: str = field(default=AS_GIVEN, compare=False)  # in words
    origins: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(SPLITS[1:], AS_GIVEN), compare=False)
    indices: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)  # int64 (N,), rising

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"data {self.name!r}: classification needs at least 2 classes, got {self.num_classes}")
        if len(self.class_names) != self.num_classes:
            raise ValueError(f"data {self.name!r}: {len(self.class_names)} names for {self.num_classes} classes")

    @cached_property
    def digest(self) -> str:
        """Of all that a score on these images depends on (`natrl.digests`); those of the test split are not read."""
        held = contents(self.train), contents(self.validation)
        return digest((*held, self.num_classes, self.augmentation))

    def describe(self) -> str:
        """One line: how many images each split has, where those of validation and test come from, and preprocessing."""
        sizes = {name: len(getattr(self, name)) for name in SPLITS}
        held = (f"{sizes[name]} {name} images ({self.origins[name]})" for name in SPLITS[1:])
        return f"{self.name}: {sizes['train']} training images, {' and '.join(held)}; images {self.preprocessing}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: Arrays.of(value) if name in SPLITS else value for name, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = {name: v.dataset() if isinstance(v, Arrays) else v for name, v in state.items()}
        self.__dict__.update(values)
