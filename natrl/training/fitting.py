"""Training a network from scratch, and measuring it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from natrl.checks.arguments import checked
from natrl.checks.fields import Seed
from natrl.core.architecture import Architecture
from natrl.data import Augmentation, batches, ImageData
from natrl.data.examples import Examples
from natrl.data.labels import size_of
from natrl.spaces.networks import Networks
from natrl.training.device import default_device
from natrl.training.distillation import Distillation
from natrl.training.modes import in_mode, set_training
from natrl.training.schedule import Schedule
from natrl.training.thin import thin_guarded

__all__ = ["Loss", "Measured", "TrainingResult", "fit", "measure", "state_of", "train_network"]

AUXILIARY = "auxiliary."  # what the names of the auxiliary head's weights begin with
MEASURING_BATCH = 500  # images
ADAM_BETA2 = 0.99  # 0.999 averages over 1,000 steps, more than a short training has

Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and labels (B, …)


class Measured(NamedTuple):
    """What a network does on a split."""

    accuracy: float  # in [0, 1]
    cross_entropy: float  # mean over the images, in nats
    images: int
    named: int  # different classes that it names


@dataclass(frozen=True)
class TrainingResult:
    """What came of one training."""

    validation_accuracy: float  # in [0, 1]
    validation_cross_entropy: float  # nats
    test_accuracy: float | None  # None: the test split was not read
    training_loss: float  # mean over the last epoch
    parameters: int  # of the network without its auxiliary head
    epochs: int
    seed: int
    seconds: float  # of building, training and measuring
    weights: dict[str, np.ndarray] | None = field(default=None, compare=False, repr=False)  # the network's state_dict


def train_network(
    networks: Networks,
    architecture: Architecture,
    data: ImageData,
    schedule: Schedule,
    *,
    seed: int,
    device: torch.device | str | None = None,
    read_test: bool = False,
    amp: bool = False,
    network: nn.Module | None = None,
    keep_weights: bool = False,
    on_epoch: Callable[[int, float], None] | None = None,
) -> TrainingResult:
    """Trains the architecture's network, of a space or on a skeleton, and measures it on the validation split.

    The test split is touched only with `read_test`. The seed fixes the initial weights, the batches and what is drawn
    in training. On a CPU one thread computes, so that the result repeats to the bit, whatever the global random state
    and the number of threads are (both are left as they were); run several trainings side by side to use more cores.
    `network` is trained in place of a new one. With `keep_weights` the result holds the trained weights, without those
    of an auxiliary head: `networks.build(architecture)` takes them. The device is the GPU where there is one.
    ValueError where the networks do not fit the data, or the loss is not finite.
    """
    start = time.perf_counter()
    networks = networks.fitted(data)
    device = default_device(device)
    with _reproducible(seed, device):
        if network is None:
            network = networks.fresh(architecture, auxiliary=schedule.auxiliary > 0)
        try:
            loss = fit(network, data, schedule, seed=seed, device=device, amp=amp, on_epoch=on_epoch)
            validation = measure(network, data.validation, device=device)
            test = measure(network, data.test, device=device) if read_test else None
        except FloatingPointError as error:
            raise ValueError(f"architecture {architecture.key}: {error}") from None
    weights = state_of(network) if keep_weights else None
    return TrainingResult(
        validation_accuracy=validation.accuracy,
        validation_cross_entropy=validation.cross_entropy,
        test_accuracy=test.accuracy if test else None,
        training_loss=loss,
        parameters=sum(p.numel() for name, p in network.named_parameters() if not name.startswith(AUXILIARY)),
        epochs=schedule.epochs,
        seed=seed,
        seconds=time.perf_counter() - start,
        weights=weights and {name: array for name, array in weights.items() if not name.startswith(AUXILIARY)},
    )


def state_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Its state_dict as arrays."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in network.state_dict().items()}


@checked
def fit(
    network: nn.Module,
    data: Examples,
    schedule: Schedule,
    *,
    seed: Seed,
    device: torch.device | str | None = None,
    amp: bool = False,
    distillation: Distillation | None = None,
    loss: Loss | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> float:
    """Trains the network in place on the training split; the mean loss of the last epoch.

    The network gives logits (B, classes), or in training (logits, logits of auxiliary heads …). `amp`: bfloat16 where
    autocast says so. `distillation`: a network to learn from besides the labels. `loss`: in place of the cross-entropy
    of the schedule, of whatever the network gives. `on_epoch(epoch, loss)` is called after each epoch, the first being
    1. FloatingPointError where the loss is not finite.
    """
    device = default_device(device)
    loss = loss or partial(functional.cross_entropy, label_smoothing=schedule.label_smoothing)
    _move(network, device)
    optimizer = _optimizer(network, schedule)
    size = size_of(data.train)
    steps = max(1, size // schedule.batch_size)  # an incomplete batch is used only where it is the only one
    mean = float("nan")
    with _reproducible(seed, device), thin_guarded(network):  # the network may draw, too
        for epoch in range(schedule.epochs):
            if schedule.drop_path:
                network.drop_path = schedule.drop_path * epoch / schedule.epochs  # type: ignore[assignment]
            epoch_batches = batches(
                data.train,
                schedule.batch_size,
                shuffle_seed=int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]),
                augment=_augmentation(data, schedule),
                device=device,
                drop_last=size >= schedule.batch_size,
            )
            numbers = range(epoch * steps, (epoch + 1) * steps)
            moments = [(schedule.rate(n, schedule.epochs * steps), n / (schedule.epochs * steps)) for n in numbers]
            epoch_steps = zip(moments, epoch_batches, strict=True)
            mean = _train_epoch(network, optimizer, schedule, epoch_steps, device, amp, distillation, loss)
            if not np.isfinite(mean):
                raise FloatingPointError(f"the loss is {mean} in epoch {epoch + 1}; lower the learning rate")
            if on_epoch:
                on_epoch(epoch + 1, mean)
    return mean


def _move(network: nn.Module, device: torch.device) -> None:
    """To the device; channels last in memory, which 3-D convolutions do not take."""
    plain = any(weight.dim() == 5 for weight in network.parameters())
    network.to(device, memory_format=torch.preserve_format if plain else torch.channels_last)  # type: ignore[call-overload]


def _train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    steps: Iterable[tuple[tuple[float, float], tuple[Tensor, Tensor]]],  # (learning rate, progress), (images, labels)
    device: torch.device,
    amp: bool,
    distillation: Distillation | None,
    loss_on_labels: Loss,
) -> float:
    """One step a batch; the mean loss."""
    set_training(network)
    losses = []
    for (rate, progress), (images, labels) in steps:
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            outputs = network(images)
            loss = _loss(outputs, labels, schedule, loss_on_labels)
            if distillation is not None:
                logits = outputs[0] if isinstance(outputs, tuple) else outputs
                loss = distillation.loss(images, logits, loss, progress)
        optimizer.zero_grad()
        loss.backward()
        if schedule.clip:
            nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean().item()


@torch.inference_mode()
@checked
def measure(network: nn.Module, dataset: Dataset[Any], *, device: torch.device | str | None = None) -> Measured:
    """Accuracy and mean cross-entropy of the network, in evaluation mode, on all of a split.

    FloatingPointError where the logits are not finite.
    """
    device = default_device(device)
    correct, entropy, count, named = 0, 0.0, 0, set[int]()
    with in_mode(network.to(device), training=False):
        for images, labels in batches(dataset, MEASURING_BATCH, device=device):
            logits = network(images).float()
            answers = logits.argmax(1)
            correct += int((answers == labels).sum())
            finite = bool(logits.isfinite().all())
            entropy += functional.cross_entropy(logits, labels, reduction="sum").item() if finite else float("nan")
            count += len(labels)
            named.update(answers.tolist())
    if not np.isfinite(entropy):
        raise FloatingPointError(f"the cross-entropy on held-out images is {entropy}; lower the learning rate")
    return Measured(correct / count, entropy / count, count, len(named))


def _loss(outputs: Tensor | tuple[Tensor, ...], labels: Tensor, schedule: Schedule, loss: Loss) -> Tensor:
    if not isinstance(outputs, tuple):
        return loss(outputs, labels)
    logits, *auxiliary = outputs
    return loss(logits, labels) + schedule.auxiliary * sum(loss(other, labels) for other in auxiliary)


def _optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    weights, rate, decay = network.parameters(), schedule.learning_rate, schedule.weight_decay
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(weights, rate, schedule.momentum, weight_decay=decay, fused=True)
    return torch.optim.AdamW(weights, rate, (schedule.momentum, ADAM_BETA2), weight_decay=decay, fused=True)


def _augmentation(data: Examples, schedule: Schedule) -> Augmentation:
    if not isinstance(data, ImageData):
        return data.augmentation
    return replace(data.augmentation, cutout=round(schedule.cutout * data.image_size / 32))


@contextmanager
def _reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators of the CPU and that device, and restores them; on a CPU with one thread.

    Sums over several threads depend on their number, and small networks gain nothing from more than one.
    """
    devices, threads = [device] if device.type == "cuda" else [], torch.get_num_threads()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every device
        for cuda in devices:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(seed)
        if device.type == "cpu":
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
