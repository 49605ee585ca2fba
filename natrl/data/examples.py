"""Data sets as the rest of natrl sees them: three splits of inputs and labels, of images or whatever these are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from torch.utils.data import Dataset

from natrl.data.arrays import Arrays
from natrl.data.augmentation import Augmentation
from natrl.data.contents import contents
from natrl.digests import digest

__all__ = ["Examples", "ImageData"]

SPLITS = ("train", "validation", "test")
AS_GIVEN = "as given"


@dataclass(frozen=True)
class Examples:
    """Three disjoint splits of (input, label) pairs: tensors as a network takes them, labels as a score has them.

    Choices are made on `validation`; `test` is read once, for the report. `augmentation` holds what is right for these
    inputs in training (cutout is the schedule's). `origins` says in words where validation and test examples come from,
    `indices` which ones they are of the part that they were taken from, where they were. Pickling hands tensors over as
    numpy arrays: Ray's object store maps them into all processes of a machine instead of copying them.
    """

    items: ClassVar[str] = "examples"  # what they are called

    name: str
    train: Dataset[Any]
    validation: Dataset[Any]
    test: Dataset[Any]
    augmentation: Augmentation = field(default_factory=Augmentation, kw_only=True)
    preprocessing: str = field(default=AS_GIVEN, compare=False, kw_only=True)  # in words
    origins: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(SPLITS[1:], AS_GIVEN), compare=False, kw_only=True
    )
    indices: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, kw_only=True)  # int64 (N,), rising

    @cached_property
    def digest(self) -> str:
        """Of all that a score on these depends on (`natrl.digests`); those of the test split are not read."""
        return digest((contents(self.train), contents(self.validation), *self._besides(), self.augmentation))

    def _besides(self) -> tuple[Any, ...]:
        """What a score depends on besides."""
        return ()

    def describe(self) -> str:
        """One line: how many examples each split has, where validation and test come from, and preprocessing."""
        sizes = {name: len(getattr(self, name)) for name in SPLITS}
        held = (f"{sizes[name]} {name} {self.items} ({self.origins[name]})" for name in SPLITS[1:])
        counts = f"{sizes['train']} training {self.items}, {' and '.join(held)}"
        return f"{self.name}: {counts}; {self.items} {self.preprocessing}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: Arrays.of(value) if name in SPLITS else value for name, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = {name: v.dataset() if isinstance(v, Arrays) else v for name, v in state.items()}
        self.__dict__.update(values)


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
