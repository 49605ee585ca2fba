"""Training a replaced network on, and measuring it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from natrl.data import ImageData
from natrl.training.device import default_device, use_bf16
from natrl.training.distillation import Distillation
from natrl.training.fitting import fit, measure, Measured, state_of
from natrl.training.schedule import FINE_TUNING, Schedule

__all__ = ["Tuned", "fine_tune", "state_of"]


@dataclass(frozen=True)
class Tuned:
    """What came of a fine-tuning."""

    state: dict[str, np.ndarray]  # the network's state_dict; arrays pass through Ray's object store without a copy
    score: float  # on validation data: accuracy in [0, 1], or what a function of the user's says
    validation: Measured | None = None
    seconds: float = 0.0  # of training and measuring

    def load_into(self, network: nn.Module) -> nn.Module:
        """Puts the weights into a network of the same architecture, and returns it."""
        network.load_state_dict({name: torch.tensor(array) for name, array in self.state.items()})
        return network


def fine_tune(
    network: nn.Module,
    data: ImageData,
    schedule: Schedule = FINE_TUNING,
    *,
    seed: int,
    teacher: nn.Module | None = None,
    bf16: bool | None = None,
    device: torch.device | str | None = None,
) -> Tuned:
    """Trains the network in place on the training split and measures it on the validation split.

    `teacher`: a network, usually the original, whose outputs are learned besides the labels. `bf16`: bfloat16 autocast;
    None: on GPUs that have it. The test split is not touched. The seed fixes batches and draws, as in
    `natrl.training.fitting.fit`. ValueError where the loss is not finite.
    """
    start = time.perf_counter()
    try:
        distillation = None if teacher is None else Distillation(teacher)
        device = default_device(device)
        amp = use_bf16(bf16, device)
        fit(network, data, schedule, seed=seed, device=device, amp=amp, distillation=distillation)
        validation = measure(network, data.validation, device=device)
    except FloatingPointError as error:
        raise ValueError(f"fine-tuning: {error}") from None
    return Tuned(state_of(network), validation.accuracy, validation, time.perf_counter() - start)
