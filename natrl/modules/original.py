"""What a network is worth before anything is made of it: whether its inputs are prepared as it was trained."""

from __future__ import annotations

import math

import torch
from torch import nn, Tensor

from natrl.data import ImageData
from natrl.modules.replace.copies import copied
from natrl.training.fitting import measure, Measured

__all__ = ["LIKELY", "check_accuracy", "check_outputs", "expected_accuracy", "measure_original", "told"]

LIKELY = (
    "likely reasons: images are prepared otherwise than in training (mean and std, none, or a transform), the order of "
    "the classes, weights that were not loaded, the image size, the order of channels"
)


@torch.inference_mode()
def check_outputs(model: nn.Module, example: Tensor, data: ImageData) -> None:
    """ValueError where the outputs cannot be logits of the data's classes: of these, no fewer and no more."""
    network = copied(model).eval()
    weight = next(network.parameters(), example)
    outputs = network(example.to(weight.device))
    if isinstance(outputs, Tensor) and outputs.dim() == 2 and outputs.shape[1] == data.num_classes:
        return
    found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
    raise ValueError(
        f"{type(model).__name__} must give one number for each image and class, (N, {data.num_classes}) for data "
        f"{data.name!r}; it gives {found}"
    )


def measure_original(model: nn.Module, data: ImageData, *, device: torch.device | str | None = None) -> Measured:
    """A copy of the network, in evaluation mode, on the whole validation split. ValueError if logits are not finite."""
    try:
        return measure(copied(model), data.validation, device=device)
    except FloatingPointError:
        what = f"{type(model).__name__} gives numbers that are not finite on validation images"
        raise ValueError(f"{what}; {LIKELY}") from None


def told(found: Measured) -> str:
    """What is said of the original."""
    return f"the original: {found.accuracy:.1%} on {found.images} validation images"


def check_accuracy(found: Measured, data: ImageData, expected: float | None) -> None:
    """ValueError in one line, with the likely reasons, where the network is worth less than `expected`.

    None: than clearly more than guessing. (Guessing is to name one class alone, or to be within three standard errors
    of 1 ÷ classes, or a tenth of the way from there to 100 %; of more than ten classes, to be right less than twice as
    often.)
    """
    if expected is not None:
        if round(found.accuracy, 3) < expected:
            raise ValueError(f"{told(found)}, below the {expected:.1%} that were expected; {LIKELY}")
        return
    chance = 1 / data.num_classes
    error = math.sqrt(chance * (1 - chance) / found.images)
    if found.accuracy < chance + max(3 * error, min(chance, (1 - chance) / 10)) or found.named == 1:
        raise ValueError(
            f"{told(found)}, near guessing ({chance:.3g}); {LIKELY}; expect_accuracy 0 goes on all the same"
        )


def expected_accuracy(given: float | str | None) -> float | None:
    """In [0, 1], from a share such as 0.83 or "83%". ValueError on anything else."""
    if given is None:
        return None
    text = str(given).strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if isinstance(given, bool) or not 0 <= value <= 1:
        raise ValueError(f'an expected accuracy is a share such as 0.83 or "83%", got {given!r}')
    return value
