"""What a reader found, and how it becomes a data set: split, resized, normalised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from natrl.data.augmentation import Augmentation
from natrl.data.examples import ImageData
from natrl.data.parts import Part
from natrl.data.preprocessing import BY_STATISTICS, Preprocessing
from natrl.data.splits import stratified_split, TEST_SEED

__all__ = ["RawData"]

HELD = ("validation", "test")
HELD_OUT = 0.2  # share of the images for a validation or test part that the data set does not ship
OWN = "the data's own"
FROM_TRAINING = "drawn by seed {seed} from the training part, all of which a network of yours may have seen"
FROM_ALL = "drawn by seed {seed} from images that come as one part, which a network of yours may have seen"
TEST_FROM_ALL = "drawn from images that come as one part, the same ones whatever the seed"
HALF = "half of the data's own validation part, the same half whatever the seed"


class _Split(NamedTuple):
    part: Part
    origin: str
    indices: np.ndarray | None = None  # in the part that it was taken from


@dataclass(frozen=True)
class RawData:
    """What a reader found; `build` splits what is not split, resizes and normalises."""

    name: str
    class_names: tuple[str, ...]
    train: Part
    validation: Part | None = None  # None: taken from the training part
    test: Part | None = None  # None: half of the validation part, or where there is none taken from the training part
    crop: bool = True  # padding and crop are right in training
    flip: bool = True  # so are mirror images
    held_out: tuple[int, int] | None = None  # images of both parts where both are taken; None: a share of HELD_OUT each

    def build(
        self, *, seed: int, image_size: int | None = None, preprocessing: Preprocessing = BY_STATISTICS
    ) -> ImageData:
        """The seed fixes which images are for training and which for validation, where that is not given; which are
        for the test depends on the data alone. ValueError in one line where the preprocessing does not fit.
        """
        train, *held = self._split(seed)
        parts = {"train": train, **{name: split.part for name, split in zip(HELD, held, strict=True)}}
        return ImageData(
            name=self.name,
            **self._prepared(parts, seed, image_size, preprocessing),
            num_classes=len(self.class_names),
            class_names=self.class_names,
            preprocessing=str(preprocessing),
            origins={name: split.origin for name, split in zip(HELD, held, strict=True)},
            indices={name: s.indices for name, s in zip(HELD, held, strict=True) if s.indices is not None},
        )

    def _prepared(
        self, parts: Mapping[str, Part], seed: int, image_size: int | None, preprocessing: Preprocessing
    ) -> dict[str, Any]:
        """Splits as networks take them, their shape, and how they are augmented."""
        train, transform = parts["train"], preprocessing.transform
        if transform is not None:
            if image_size is not None:
                raise ValueError("a transform gives images of its own size: leave image_size out")
            return self._transformed(parts, transform, preprocessing.name)
        size = image_size or train.size
        mean, std = preprocessing.normalisation(train.channels, train.white) or train.statistics(size, seed)
        std = torch.where(std > 0, std, 1.0)  # a constant channel stays constant
        splits = {name: part.dataset(size, mean, std) for name, part in parts.items()}
        return {**splits, **self._shape(train.channels, size, tuple((-mean / std).tolist()))}

    def _transformed(self, parts: Mapping[str, Part], transform: Callable[[Any], Tensor], name: str) -> dict[str, Any]:
        from natrl.data.transforms import fill_of, transformed_shape

        channels, size = transformed_shape(name, transform, parts["train"].picture())
        splits = {name: part.transformed(transform) for name, part in parts.items()}
        return {**splits, **self._shape(channels, size, fill_of(transform, parts["train"].picture()))}

    def _shape(self, channels: int, size: int, fill: tuple[float, ...]) -> dict[str, Any]:
        augmentation = Augmentation(padding=size // 8 if self.crop else 0, flip=self.flip, fill=fill)
        return {"image_channels": channels, "image_size": size, "augmentation": augmentation}

    def _split(self, seed: int) -> tuple[Part, _Split, _Split]:
        """Training part, validation, test. ValueError where a part would be too small."""
        try:
            if self.validation is not None:
                return self.train, *self._held_out(self.validation)
            return self._taken(seed)
        except ValueError as error:
            raise ValueError(f"data {self.name!r}: {error}") from None

    def _held_out(self, validation: Part) -> tuple[_Split, _Split]:
        """Of a validation part that is there. Images for the test come from it rather than from those trained on."""
        if self.test is not None:
            return _Split(validation, OWN), _Split(self.test, OWN)
        halves = stratified_split(validation.labels, (len(validation.labels) // 2,), seed=TEST_SEED)
        first, second = (_Split(validation.take(half), HALF, half) for half in halves)
        return first, second

    def _taken(self, seed: int) -> tuple[Part, _Split, _Split]:
        """Of the training part."""
        share = round(HELD_OUT * len(self.train.labels))
        if self.test is not None:
            rest, chosen = stratified_split(self.train.labels, (share,), seed=seed)
            origin = FROM_TRAINING.format(seed=seed)
            return self.train.take(rest), _Split(self.train.take(chosen), origin, chosen), _Split(self.test, OWN)
        rest, chosen, tested = stratified_split(self.train.labels, self.held_out or (share, share), seed=seed)
        validation = _Split(self.train.take(chosen), FROM_ALL.format(seed=seed), chosen)
        return self.train.take(rest), validation, _Split(self.train.take(tested), TEST_FROM_ALL, tested)
