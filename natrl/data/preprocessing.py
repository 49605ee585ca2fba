"""How images become what a network takes: normalised by statistics, by given numbers, not at all, or by a function.

Numbers refer to images in [0, 1], as torchvision's do: 8-bit images are divided by 255 first, and digits by 16; images
that a user's function returns as other numbers are taken in their own unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from natrl.registry import find_object

__all__ = ["BY_STATISTICS", "Numbers", "Preprocessing"]

NONE = "none"
SMALLEST, LARGEST = 1e-6, 1e6  # of numbers: what float32 images can be normalised by

Numbers = float | Sequence[float] | str | None


@dataclass(frozen=True)
class Preprocessing:
    """What is done to each image after it was read."""

    mean: tuple[float, ...] | None = None  # one number, or one a channel; None: of the training split
    std: tuple[float, ...] | None = None
    transform: Callable[[Any], Tensor] | None = None  # in place of resizing and normalisation
    name: str = ""  # of the transform

    @classmethod
    def of(cls, mean: Numbers, std: Numbers, transform: Callable[[Any], Tensor] | str | None) -> Preprocessing:
        """From numbers, sequences or text such as "0.5,0.4,0.3"; "none" leaves images in [0, 1].

        `transform`: a function of one image, or its name as "module:object". ValueError in one line on what is no
        number, on a mean without a deviation, or on numbers beside a transform.
        """
        shift, scale = _numbers("mean", mean, 0.0), _numbers("std", std, 1.0)
        if shift is None and _is_none(std):
            shift = (0.0,)
        if scale is None and _is_none(mean):
            scale = (1.0,)
        if (shift is None) != (scale is None):
            given, missing = ("mean", "std") if scale is None else ("std", "mean")
            raise ValueError(f"{given} needs {missing}, too (numbers, or none)")
        if scale is not None and min(scale) < SMALLEST:
            raise ValueError(f"std must be above 0 (at least {SMALLEST:g}), got {min(scale):g}")
        if transform is None:
            return cls(shift, scale)
        if shift is not None:
            raise ValueError("a transform normalises by itself: leave mean and std out")
        if not isinstance(transform, str):
            return cls(transform=_checked(transform), name=getattr(transform, "__qualname__", type(transform).__name__))
        return cls(transform=_checked(find_object(transform, f"transform {transform!r}")), name=transform)

    def normalisation(self, channels: int, white: float) -> tuple[Tensor, Tensor] | None:
        """Mean and deviation float32 (C,) in the images' own unit, where `white` is 1; None: of the training split.

        ValueError if there are neither one nor C numbers.
        """
        if self.mean is None or self.std is None:
            return None
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                raise ValueError(f"{name} has {len(numbers)} numbers, but images have {channels} channel(s)")
        mean, std = (torch.tensor(numbers).expand(channels) * white for numbers in (self.mean, self.std))
        return mean.clone(), std.clone()

    def __str__(self) -> str:
        if self.transform is not None:
            return f"by {self.name}"
        if self.mean is None or self.std is None:
            return "normalised by the mean and deviation of the training split"
        if set(self.mean) == {0.0} and set(self.std) == {1.0}:
            return "not normalised"
        return f"normalised by mean {_text(self.mean)} and std {_text(self.std)}"


BY_STATISTICS = Preprocessing()


def _is_none(given: Any) -> bool:
    return isinstance(given, str) and given.strip().lower() == NONE


def _numbers(name: str, given: Any, nothing: float) -> tuple[float, ...] | None:
    if given is None:
        return None
    if _is_none(given):
        return (nothing,)
    plain = given.tolist() if hasattr(given, "tolist") else given  # arrays, tensors
    parts = plain.split(",") if isinstance(plain, str) else plain if isinstance(plain, Sequence) else [plain]
    try:
        numbers = tuple(float(n) for n in parts)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(abs(n) <= LARGEST for n in numbers) or isinstance(given, bool):
        raise ValueError(f"{name} must be a number, one a channel (such as 0.5,0.4,0.3), or none, got {given!r}")
    return numbers


def _checked(transform: Any) -> Callable[[Any], Tensor]:
    if not callable(transform):
        raise ValueError(f"transform must be a function of one image, or module:object, got {type(transform).__name__}")
    return transform


def _text(numbers: Sequence[float]) -> str:
    return ", ".join(f"{n:.4g}" for n in numbers)
