"""Training and evaluation mode, or new statistics, for a while; batch-norms that a user has frozen stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["frozen_norms", "in_mode", "recalibrating", "set_training"]


@contextmanager
def in_mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """All modules in that mode in the body (frozen batch-norms in evaluation mode); after it each in its own one."""
    with _modes_put_back(network):
        if training:
            set_training(network)
        else:
            network.eval()
        yield


def set_training(network: nn.Module) -> None:
    """Training mode, but for frozen batch-norms."""
    frozen = frozen_norms(network)
    network.train()
    for norm in frozen:
        norm.eval()


def frozen_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch-norms whose statistics are to stay.

    Those that the network's own `train` leaves in evaluation mode, that are in it while what holds them (or another
    batch-norm) is in training mode, whose weights are not trained, or whose momentum is 0.
    """
    norms = {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
    others_train = any(norm.training for norm in norms.values())
    found = {name for name, norm in norms.items() if norm.momentum == 0 or _untrained(norm)}
    for name, norm in norms.items():
        above = [network.get_submodule(name[:i]) for i, c in enumerate(name) if c == "."] + [network]
        holder = network.get_submodule(name.rpartition(".")[0])
        if not norm.training and (holder.training or (others_train and any(module.training for module in above))):
            found.add(name)
    with _modes_put_back(network):
        network.train()
        found |= {name for name, norm in norms.items() if not norm.training}
    return [norm for name, norm in norms.items() if name in found]


@contextmanager
def recalibrating(model: nn.Module) -> Iterator[None]:
    """Each forward pass in the body gives batch-norms the statistics of its images; all else is in evaluation mode.

    Batch-norms that are frozen (`frozen_norms`) keep theirs.
    """
    frozen = frozen_norms(model)
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats and m not in frozen]
    momenta = [norm.momentum for norm in norms]
    with in_mode(model, training=False):
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _untrained(norm: _BatchNorm) -> bool:
    weights = list(norm.parameters(recurse=False))
    return bool(weights) and not any(weight.requires_grad for weight in weights)


@contextmanager
def _modes_put_back(network: nn.Module) -> Iterator[None]:
    before = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode
