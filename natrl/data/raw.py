"""What a reader found, and how it becomes a data set: split, resized, normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from natrl.data.augmentation import Augmentation
from natrl.data.images import ImageData
from natrl.data.parts import Part
from natrl.data.splits import stratified_split, TEST_SEED

__all__ = ["RawData"]

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

    def build(self, *, seed: int, image_size: int | None = None) -> ImageData:
        """Normalised by the statistics of the training split. The seed fixes which images are for training and which
        for validation, where that is not given; which are for the test depends on the data alone.
        """
        train, validation, test = self._split(seed)
        held = {"validation": validation, "test": test}
        size = image_size or train.size
        mean, std = train.statistics(size, seed)
        std = torch.where(std > 0, std, 1.0)  # a constant channel stays constant
        return ImageData(
            name=self.name,
            train=train.dataset(size, mean, std),
            validation=validation.part.dataset(size, mean, std),
            test=test.part.dataset(size, mean, std),
            num_classes=len(self.class_names),
            image_size=size,
            image_channels=train.channels,
            class_names=self.class_names,
            augmentation=Augmentation(
                padding=size // 8 if self.crop else 0, flip=self.flip, fill=tuple((-mean / std).tolist())
            ),
            origins={name: split.origin for name, split in held.items()},
            indices={name: split.indices for name, split in held.items() if split.indices is not None},
        )

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
