"""What a network is worth before anything is made of it: whether its inputs are prepared as it was trained."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn, Tensor

from natrl.data import batches, ImageData
from natrl.modules.replace.copies import copied
from natrl.training.device import default_device

__all__ = ["LIKELY", "Original", "check_accuracy", "check_outputs", "expected_accuracy", "measure_original"]

BATCH = 500  # images
LIKELY = (
    "likely reasons: images are prepared otherwise than in training (mean and std, none, or a transform), the order of "
    "the classes, weights that were not loaded, the image size, the order of channels"
)


class Original(NamedTuple):
    """What the network does on the validation split as it is."""

    accuracy: float  # in [0, 1]
    images: int
    predicted: int  # different classes that it names

    def __str__(self) -> str:
        return f"the original: {self.accuracy:.1%} on {self.images} validation images"


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


@torch.inference_mode()
def measure_original(model: nn.Module, data: ImageData, *, device: torch.device | str | None = None) -> Original:
    """A copy of the network, in evaluation mode, on the whole validation split. ValueError if logits are not finite."""
    device = default_device(device)
    network = copied(model).to(device).eval()
    correct, count, named = 0, 0, set()
    for images, labels in batches(data.validation, BATCH, device=device):
        logits = network(images)
        if not logits.isfinite().all():
            raise ValueError(f"{type(model).__name__} gives numbers that are not finite on validation images; {LIKELY}")
        answers = logits.argmax(1)
        correct, count = correct + int((answers == labels).sum()), count + len(labels)
        named |= set(answers.tolist())
    return Original(correct / count, count, len(named))


def check_accuracy(found: Original, data: ImageData, expected: float | None) -> None:
    """ValueError in one line, with the likely reasons, where the network is worth less than `expected`.

    None: than clearly more than guessing. (Guessing is to name one class alone, or to be within three standard errors
    of 1 ÷ classes, or a tenth of the way from there to 100 %; of more than ten classes, to be right less than twice as
    often.)
    """
    if expected is not None:
        if round(found.accuracy, 3) < expected:
            raise ValueError(f"{found}, below the {expected:.1%} that were expected; {LIKELY}")
        return
    chance = 1 / data.num_classes
    error = math.sqrt(chance * (1 - chance) / found.images)
    if found.accuracy < chance + max(3 * error, min(chance, (1 - chance) / 10)) or found.predicted == 1:
        raise ValueError(f"{found}, near guessing ({chance:.3g}); {LIKELY}; expect_accuracy 0 goes on all the same")


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
