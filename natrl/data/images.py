"""The data set as the rest of natrl sees it, and how what was read becomes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch.utils.data import Dataset

from natrl.data.arrays import Arrays
from natrl.data.augmentation import Augmentation
from natrl.data.contents import contents
from natrl.data.parts import Part
from natrl.data.splits import stratified_split
from natrl.digests import digest

__all__ = ["ImageData", "RawData"]

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.2  # share of the images for a validation or test part that the data set does not ship


@dataclass(frozen=True)
class ImageData:
    """A classification data set: three disjoint splits of (float32 (C, H, W) normalised, int label) pairs.

    Choices are made on `validation`; `test` is read once, for the report. `augmentation` holds what is right for these
    images in training (crop and flip; cutout is the schedule's). Pickling hands images in memory over as numpy arrays:
    Ray's object store maps them into all processes of a machine instead of copying them.
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

    def __getstate__(self) -> dict[str, Any]:
        return {name: Arrays.of(value) if name in SPLITS else value for name, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = {name: v.dataset() if isinstance(v, Arrays) else v for name, v in state.items()}
        self.__dict__.update(values)


@dataclass(frozen=True)
class RawData:
    """What a reader found; `build` splits what is not split, resizes and normalises."""

    name: str
    class_names: tuple[str, ...]
    train: Part
    validation: Part | None = None  # None: taken from the training part
    test: Part | None = None  # None: taken from the training part
    crop: bool = True  # padding and crop are right in training
    flip: bool = True  # so are mirror images
    held_out: tuple[int, ...] | None = None  # images of the parts to be taken; None: a share of HELD_OUT each

    def build(self, *, seed: int, image_size: int | None = None) -> ImageData:
        """Splits fixed by the seed, normalised by the statistics of the training split."""
        train, validation, test = self._split(seed)
        size = image_size or train.size
        mean, std = train.statistics(size, seed)
        std = torch.where(std > 0, std, 1.0)  # a constant channel stays constant
        return ImageData(
            name=self.name,
            train=train.dataset(size, mean, std),
            validation=validation.dataset(size, mean, std),
            test=test.dataset(size, mean, std),
            num_classes=len(self.class_names),
            image_size=size,
            image_channels=train.channels,
            class_names=self.class_names,
            augmentation=Augmentation(
                padding=size // 8 if self.crop else 0, flip=self.flip, fill=tuple((-mean / std).tolist())
            ),
        )

    def _split(self, seed: int) -> tuple[Part, Part, Part]:
        missing = (self.validation is None) + (self.test is None)
        share = round(HELD_OUT * len(self.train.labels))
        try:
            indices = stratified_split(self.train.labels, self.held_out or (share,) * missing, seed=seed)
        except ValueError as error:
            raise ValueError(f"data {self.name!r}: {error}") from None
        train, *taken = (self.train.take(i) for i in indices)
        validation = self.validation or taken.pop(0)
        return train, validation, self.test or taken.pop()
