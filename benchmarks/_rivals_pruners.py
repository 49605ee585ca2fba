"""Two pruners of channels that a user may take instead: Torch-Pruning and NVIDIA ModelOpt's FastNAS.

Each gives a network that keeps to a share of the original's MAdds, before any fine-tuning.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stdout, suppress
from copy import deepcopy
from itertools import islice
from pathlib import Path
from sys import stderr
from typing import Any

import torch
from _rivals_job import Found, Job
from _rivals_limits import Limit
from _rivals_measuring import madds
from torch import nn, Tensor
from torch.nn import functional
from torch.utils.data import TensorDataset

from natrl.data import batches
from natrl.training.fitting import measure

__all__ = ["GRADIENTS", "fastnas", "some_batches", "torch_pruning"]

STEPS = 50  # of iterative pruning, from all channels to none
GRADIENTS = 4  # batches of 64 images, for a Taylor expansion before each step
SCORED = 2048  # validation images that FastNAS scores a network on
CALIBRATING = 8  # batches of 64 training images that batch-norms take their statistics from


def torch_pruning(job: Job, limit: Limit, *, importance: str, multiple: int | None, least: float) -> Found:
    """Global, iterative pruning of groups of coupled channels (Fang et al. 2023, arXiv 2301.12900).

    `importance`: taylor or magnitude, of a group; `multiple`: of which numbers of channels are; `least`: the share of
    its channels that every layer keeps.
    """
    import torch_pruning as tp

    network = deepcopy(job.model)
    kinds = {"taylor": tp.importance.GroupTaylorImportance, "magnitude": tp.importance.GroupMagnitudeImportance}
    pruner = tp.pruner.BasePruner(
        network,
        job.example,
        importance=kinds[importance](),
        global_pruning=True,
        pruning_ratio=1.0,
        max_pruning_ratio=1 - least,
        iterative_steps=STEPS,
        round_to=multiple,
        ignored_layers=[_classifier(network, job.data.num_classes)],
    )
    for _ in range(STEPS):
        if madds(network, job.example) <= limit.share * job.madds:
            return Found(network)
        if importance == "taylor":
            _gradients(network, job)
        pruner.step()
    raise ValueError(f"Torch-Pruning ended above {limit} of the MAdds: every layer is at its least")


def _classifier(network: nn.Module, classes: int) -> nn.Module:
    return [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == classes][-1]


def _gradients(network: nn.Module, job: Job) -> None:
    """Of the loss on some training images, in evaluation mode, as Torch-Pruning's examples take them."""
    network.zero_grad()
    for images, labels in some_batches(job, GRADIENTS):
        functional.cross_entropy(network.eval()(images), labels).backward()


def some_batches(job: Job, n: int) -> list[tuple[Tensor, ...]]:
    """n of 64 training images and their labels."""
    return list(islice(batches(job.data.train, 64, shuffle_seed=job.seed), n))


def fastnas(job: Job, limit: Limit, *, divisor: int) -> Found:
    """Widths by a sensitivity of each layer, and the least threshold that keeps to the budget.

    `divisor`: of numbers of channels. The accuracy is of validation images, as many as keep a search as cheap as it is
    known to be.
    """
    import modelopt.torch.prune as mtp

    images, labels = next(batches(job.data.validation, SCORED, shuffle_seed=job.seed))
    asked = 0

    def accuracy(network: nn.Module) -> float:
        nonlocal asked
        asked += 1
        return measure(network, TensorDataset(images, labels)).accuracy

    rules: dict[str, Any] = {"nn.Conv2d": {"*": {"channel_divisor": divisor}}}
    rules |= {f"nn.{layer}": {"*": {"feature_divisor": divisor}} for layer in ("Linear", "BatchNorm2d", "LayerNorm")}
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(stderr):
        network, _ = mtp.prune(
            deepcopy(job.model).to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
            mode=[("fastnas", rules)],
            constraints={"flops": f"{limit.share:.4%}"},
            dummy_input=job.example[:1],
            config={
                "data_loader": some_batches(job, CALIBRATING),
                "score_func": accuracy,
                "checkpoint": str(Path(folder) / "search.pth"),
                "verbose": False,
            },
        )
    with suppress(AttributeError):  # what it keeps to undo the pruning by, which cannot be copied
        del network._modelopt_state
    return Found(network, evaluations=asked)
