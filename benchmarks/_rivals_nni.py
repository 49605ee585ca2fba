"""Microsoft's NNI 3.0, of 2023, as a pruner of channels; docs/which-tool.md says how it is installed.

Its own tracer fails on torch 2.14, so it is given the graph of torch.fx, which it takes as well.
"""

from __future__ import annotations

import logging
from contextlib import redirect_stdout
from copy import deepcopy
from sys import stderr
from typing import Any

import torch
from _rivals_job import Found, Job
from _rivals_limits import Limit
from _rivals_measuring import madds
from _rivals_pruners import GRADIENTS, some_batches
from torch import nn
from torch.fx import symbolic_trace
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

__all__ = ["nni_pruner"]

HALVINGS = 8  # of the range in which a sparsity is sought


def nni_pruner(job: Job, limit: Limit, *, importance: str, together: bool) -> Found:
    """The least sparsity of convolutions' filters that keeps to the budget; layers that a sum couples lose the same.

    `importance`: taylor (Molchanov et al. 2019) or magnitude (the L1 norm); `together`: filters of all layers that are
    not coupled are ranked together (where that empties a layer, it is too sparse); else all lose the same share.
    """
    import nni
    from nni.compression.speedup.error_code import EmptyLayerError

    nni.silence_stdout()
    logging.getLogger("nni").addHandler(logging.NullHandler())  # it tells of each layer, on standard error else
    low, high, found = 0.0, 1.0, None
    with redirect_stdout(stderr):
        for _ in range(HALVINGS):
            sparsity = (low + high) / 2
            rules: dict[str, Any] = {"op_types": ["Conv2d"], "sparse_ratio": sparsity}
            if together:
                rules["global_group_id"] = "all"
            try:
                network = _pruned(job, importance, rules)
            except EmptyLayerError:
                high = sparsity
                continue
            if madds(network, job.example) <= limit.share * job.madds:
                high, found = sparsity, network
            else:
                low = sparsity
    if found is None:
        raise ValueError(f"NNI found nothing of at most {limit} of the MAdds before a layer was empty")
    return Found(found)


def _pruned(job: Job, importance: str, rules: dict[str, Any]) -> nn.Module:
    from nni.compression.pruning import L1NormPruner, TaylorPruner
    from nni.compression.speedup import ModelSpeedup
    from nni.compression.speedup.dependency import auto_set_denpendency_group_ids

    network = deepcopy(job.model).eval()
    graph = symbolic_trace(network)
    ShapeProp(graph).propagate(job.example)  # coupled are those whose shapes say so
    coupled = auto_set_denpendency_group_ids(graph, [rules])
    if importance == "taylor":
        pruner = TaylorPruner(network, coupled, _gradients(network, job), training_steps=GRADIENTS)
    else:
        pruner = L1NormPruner(network, coupled)
    _, masks = pruner.compress()
    pruner.unwrap_model()
    return ModelSpeedup(network, job.example, masks, graph_module=symbolic_trace(network)).speedup_model()


def _gradients(network: nn.Module, job: Job) -> Any:
    """Of the loss on some training images, in evaluation mode, as the other pruner has them; nothing is trained."""
    import nni
    from nni.compression import TorchEvaluator

    def loss(batch: Any, model: nn.Module) -> Any:
        images, labels = batch
        return functional.cross_entropy(model.eval()(images), labels)

    def train(model: nn.Module, optimizer: Any, step: Any, *given: Any, **more: Any) -> None:
        for batch in some_batches(job, GRADIENTS):
            optimizer.zero_grad()
            step(batch, model).backward()
            optimizer.step()

    return TorchEvaluator(train, nni.trace(torch.optim.SGD)(network.parameters(), lr=0.0), loss)
