"""A plain network that carries the supernet's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.core.operations import stages
from natrl.networks.cell_supernet import CellSupernet
from natrl.networks.network import build_network, Network
from natrl.spaces.live import slot_positions

__all__ = ["extract_network"]


@torch.no_grad()
def extract_network(supernet: CellSupernet, architecture: Architecture) -> Network:
    """The architecture's plain network with a copy of its weights in the supernet, on the CPU.

    In training mode it gives the supernet's logits; its running batch-norm statistics are still to be estimated.
    ValueError if the architecture is not one of the supernet's space.
    """
    supernet.check(architecture)
    network = build_network(architecture, supernet.skeleton)
    _copy_plain(network.stem, supernet.stem)
    _copy_plain(network.head, supernet.head)
    cells = list(architecture.by_cell())
    nodes: list[Sequence[int]] = [(0,), (0,)]  # of the stem's two outputs, then of every block's
    for module, shared, block in zip(network.blocks, supernet.blocks, supernet.plan, strict=True):
        if block.cell is None:
            _copy_plain(module, shared)
            nodes.append((0,))
        else:
            cell, operations = cells[block.cell]
            _copy_cell(module, shared, operations, nodes)
            nodes.append([node - cell.inputs for node in cell.outputs] if cell.inputs > 1 else (0,))
    network.classifier.weight.copy_(supernet.classifier[:, list(nodes[-1])].flatten(1))
    network.classifier.bias.copy_(supernet.classifier_bias)
    return network


def _copy_plain(module: nn.Module, shared: nn.Module) -> None:
    module.load_state_dict(shared.state_dict(), strict=False)  # the supernet has no running statistics


def _copy_cell(module: Any, shared: Any, operations: Sequence[str], nodes: list[Sequence[int]]) -> None:
    inputs = nodes[-module.cell.inputs :]
    for prepare, weights, used in zip(module.preprocessing, shared.preprocessing, inputs, strict=False):
        _copy_preprocessing(prepare, weights, used)
    positions = slot_positions(module.cell, operations)
    for op, name, slot, position in zip(module.operations, operations, module.cell.slots, positions, strict=True):
        _copy_slot(op, name, slot.stride, shared.slots[position])


def _copy_preprocessing(module: Any, shared: Any, nodes: Sequence[int]) -> None:
    _copy_convolutions(module, [weight[:, list(nodes)].flatten(1) for weight in shared.weights])
    _copy_norms(module, [(shared.scale, shared.bias)])


def _copy_slot(module: nn.Module, name: str, stride: int, shared: Any) -> None:
    parts = stages(name, shared.channels, stride)
    kinds = [(i, j, conv) for i, stage in enumerate(parts) for j, conv in enumerate(stage)]
    _copy_convolutions(module, [shared.weight(name, *kind) for kind in kinds])
    _copy_norms(module, [shared.norm(name, i) for i in range(len(parts))])


def _copy_convolutions(module: nn.Module, weights: Sequence[Tensor]) -> None:
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    for convolution, weight in zip(convolutions, weights, strict=True):
        convolution.weight.copy_(weight.reshape(convolution.weight.shape))


def _copy_norms(module: nn.Module, norms: Sequence[tuple[Tensor, Tensor]]) -> None:
    for norm, (scale, bias) in zip((m for m in module.modules() if isinstance(m, nn.BatchNorm2d)), norms, strict=True):
        norm.weight.copy_(scale)
        norm.bias.copy_(bias)
