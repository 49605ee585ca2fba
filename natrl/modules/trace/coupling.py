"""Which channels of a network belong together: what can get narrower inside, and what stays as wide as it is.

torch-pruning's dependency graph (Fang et al. 2023, arXiv 2301.12900) says which layers share the channels that a layer
makes. A group is taken where dense layers make them (one, or several whose outputs are joined value by value), what
follows works on each channel by itself, and dense layers read them: the hidden width of a residual block, of an
inverted bottleneck with its gate, of an MLP; and what the residual sums of a stage add up.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch_pruning as pruning
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from natrl.checks.errors import summary
from natrl.modules.replace.copies import copied
from natrl.modules.replace.geometry import channels_of
from natrl.modules.replace.layers import is_tampered_with
from natrl.modules.trace.groups import Group, is_dense, is_depthwise
from natrl.modules.trace.sandbox import random_numbers_kept

__all__ = ["coupled"]

DENSE = (pruning.prune_conv_out_channels, pruning.prune_linear_out_channels)
OPERATION = pruning.ops.OPTYPE
#: Behind these a channel may be elsewhere, or several.
MOVING = (
    OPERATION.CONCAT,
    OPERATION.SPLIT,
    OPERATION.RESHAPE,
    OPERATION.UNBIND,
    OPERATION.EXPAND,
    OPERATION.SLICE,
)
Prune = Callable[..., Any]  # of the library's functions that prune a layer one of the two above


def coupled(model: nn.Module, inputs: Sequence[Tensor], slots: Collection[str]) -> tuple[list[Group], dict[str, str]]:
    """The groups, in the order of their producers; and by producer why the channels of the others stay.

    `slots`: the layers that are called once, and nowhere else read. A copy of the model runs on the inputs.
    """
    network = copied(model).eval()
    names = {module: name for name, module in network.named_modules()}
    dense = {name: module for module, name in names.items() if is_dense(module) and name in slots}
    try:
        graph = _dependencies(network, inputs)
    except Exception as error:  # whatever the model's own code raises there
        why = f"its channels cannot be followed: {summary(error)}"
        return [], dict.fromkeys(dense, why)
    groups: list[Group] = []
    reasons: dict[str, str] = {}
    for name, module in dense.items():
        if any(name in group.producers for group in groups):
            continue
        try:
            groups.append(_group(graph, names, name, module, slots))
        except ValueError as error:
            reasons[name] = str(error)
    return groups, reasons


def _dependencies(network: nn.Module, inputs: Sequence[Tensor]) -> pruning.DependencyGraph:
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    given = [t.detach().clone() for t in inputs]
    with warnings.catch_warnings(), random_numbers_kept(given[0].device), torch.enable_grad():
        warnings.simplefilter("ignore")  # of parameters that no layer holds: what depends on them is refused
        return pruning.DependencyGraph().build_dependency(
            network, example_inputs=tuple(given), forward_fn=lambda model, args: model(*args), verbose=False
        )


def _group(
    graph: pruning.DependencyGraph,
    names: Mapping[nn.Module, str],
    producer: str,
    module: nn.Module,
    slots: Collection[str],
) -> Group:
    """ValueError saying why the layer's channels stay."""
    channels = channels_of(module)[1]  # type: ignore[arg-type]  # it is dense
    if channels < 2:
        raise ValueError("it has one channel")
    prune = DENSE[isinstance(module, nn.Linear)]
    order = list(names.values())
    producers, followers = {producer: module}, dict[str, nn.Module]()
    consumers: dict[str, int] = {}  # and their inputs
    moved = False
    for dependency in _reached(graph, module, prune):
        layer, name = dependency.target.module, names.get(dependency.target.module)
        moved |= dependency.target.type in MOVING
        if isinstance(layer, nn.Parameter):
            raise ValueError("its channels go with a parameter of the network's own")
        if name is None:  # no layer, but an operation of the graph's own
            continue
        if (isinstance(layer, _BatchNorm) or is_depthwise(layer)) and not is_tampered_with(layer):
            followers[name] = layer
        elif graph.is_in_channel_pruning_fn(dependency.handler):
            if not is_dense(layer) or name not in slots:
                raise ValueError(f"{name!r} reads its channels, and stays as it is")
            consumers[name] = channels_of(layer)[0]
        elif is_dense(layer):
            if name not in slots:
                raise ValueError(f"its channels are tied to those of {name!r}, which stays as it is")
            producers[name] = layer
        else:
            raise ValueError(f"its channels go through {name!r}, a {type(layer).__name__}")
    if not consumers:
        raise ValueError("no layer besides reads its channels: they are the network's output")
    makers = {name: producers[name] for name in sorted(producers, key=order.index)}
    made, read = _first_two(graph, names, module, prune) if moved else ({}, {name: [0, 1] for name in consumers})
    counts = {n: _of_one_channel(n, inputs, channels, read.get(n, [])) for n, inputs in consumers.items()}
    for name, layer in makers.items():
        if channels_of(layer)[1] != channels or made.get(name, [0, 1]) != [0, 1]:  # type: ignore[arg-type]
            raise ValueError(f"its channels are some of those of {name!r}")
    alone = _following(graph, makers, {layer: name for name, layer in followers.items()})
    return Group(channels, alone, tuple(followers), counts)


def _following(
    graph: pruning.DependencyGraph, makers: Mapping[str, nn.Module], followers: Mapping[nn.Module, str]
) -> dict[str, tuple[str, ...]]:
    """By producer the followers that no other producer's channels reach."""
    reached: dict[str, list[str]] = {}
    for name, module in makers.items():
        seen, waiting, mine = set[Any](), [*graph.module2node[module].outputs], dict[str, None]()
        while waiting:
            node = waiting.pop()
            if node not in seen and not is_dense(node.module):
                seen.add(node)
                waiting += node.outputs
                mine |= {followers[node.module]: None} if node.module in followers else {}
        reached[name] = list(mine)
    counted = Counter(name for found in reached.values() for name in found)
    return {name: tuple(f for f in found if counted[f] == 1) for name, found in reached.items()}


def _reached(graph: pruning.DependencyGraph, module: nn.Module, prune: Prune) -> Iterator[Any]:
    """The dependencies of a layer's channels, whichever these are, one after the other.

    The library's groups follow each channel, which takes minutes where much is tied, as in Swin's windows; most of
    those are refused by the first of these.
    """
    seen, waiting = set(), [(graph.module2node[module], prune)]
    while waiting:
        node, handler = waiting.pop()
        for dependency in node.dependencies:
            step = dependency.target, dependency.handler
            if dependency.is_triggered_by(handler) and step not in seen:
                seen.add(step)
                waiting.append(step)
                yield dependency


def _first_two(
    graph: pruning.DependencyGraph, names: Mapping[nn.Module, str], module: nn.Module, prune: Prune
) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """By name of a layer where the first two channels are among those that it makes, and among its inputs."""
    try:
        found = graph.get_pruning_group(module, prune, [0, 1])
    except Exception as error:  # the library's, on what it cannot follow
        raise ValueError(f"its channels cannot be followed: {summary(error)}") from None
    made, read = dict[str, list[int]](), dict[str, list[int]]()
    for dependency, indices in found:
        if dependency.target.module in names:
            kind = read if graph.is_in_channel_pruning_fn(dependency.handler) else made
            kind[names[dependency.target.module]] = list(indices)
    return made, read


def _of_one_channel(name: str, inputs: int, channels: int, indices: Sequence[int]) -> int:
    """How many of a layer's inputs are of one channel. ValueError where it reads others, too."""
    count = len(indices) // 2
    if not count or list(indices) != list(range(2 * count)) or count * channels != inputs:
        raise ValueError(f"{name!r} reads others besides its channels")
    return count
