"""What slots may become: rule after rule, and all of them against networks that are built and counted."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import natrl
from natrl.core.operations import Cost
from natrl.modules.slots import LAYER_PRIMITIVES
from tests.modules.networks import conv, Divides, Gated, Joins, Products, Residual, Slices, Two, TwoInputs

IMAGE = torch.zeros(1, 3, 16, 16)


@pytest.fixture(scope="module")
def residual():  # type: ignore[no-untyped-def]
    return natrl.from_module(Residual(), IMAGE)


def counted(model: nn.Module, *inputs: torch.Tensor) -> Cost:
    """What torch counts: parameters, and half of the floating-point operations of one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(*inputs)
    return Cost(sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2)


REASONS = [
    ("conv1", "sep_conv_5x5", "no rule lets conv_3x3 become sep_conv_5x5"),
    ("stem", "skip_connect", "skip_connect needs an output like the input, got 3×16×16 → 8×8×8"),
    ("down1", "skip_connect", "skip_connect needs an output like the input, got 8×8×8 → 16×4×4"),
    ("down1", "max_pool_3x3", "max_pool_3x3 needs as many output as input channels, got 8×8×8 → 16×4×4"),
    ("conv1", "null", "null needs nothing but additions right after the layer; its output goes into layer 'conv2'"),
    ("pool", "conv_1x1", "no rule lets max_pool_3x3 become conv_1x1"),
    ("conv1", "conv_1x3_3x1", "conv_1x3_3x1 takes the place of no single layer"),
    ("conv2", "null", None),
    ("shortcut", "null", None),
    ("conv2", "skip_connect", None),
    ("conv2", "avg_pool_3x3", None),
    ("down1", "dil_conv_3x3", None),
    ("stem", "conv_1x1", None),
]


@pytest.mark.parametrize(("layer", "operation", "reason"), REASONS)
def test_reasons(residual, layer, operation, reason):
    assert residual.reason(layer, operation) == reason


def test_null_only_where_nothing_but_additions_follow():
    space = natrl.from_module(Joins(), IMAGE)
    assert space.reason("added", "null") is None  # through a batch-norm and an activation
    assert space.reason("both", "null").endswith("into mul")
    assert space.reason("gate", "null").endswith("into mul")
    assert space.reason("joined", "null").endswith("into cat")


def test_no_null_where_zeros_give_no_number():
    space = natrl.from_module(Divides(), IMAGE)
    found = {slot.name: space.reason(slot.name, "null") for slot in space.slots}
    ends = {"log": "into log", "inverse": "into reciprocal", "root": "into pow", "a": "quotient", "b": "quotient"}
    assert all(found[name].endswith(end) for name, end in ends.items())
    assert found["fine"] is None


def test_a_network_with_two_outputs_keeps_both():
    """Both nulls of the late pair would leave the early output alone; those of the early pair would end all."""
    space = natrl.from_module(Two(), IMAGE)
    for name in ("late1", "late2"):
        assert space.reason(name, "null") == "null could cut off one of the network's 2 outputs"
    for name in ("early1", "early2"):
        assert space.reason(name, "null") is None
    assert space.slot("early1").after == ("late1", "late2", "output")


def test_a_factor_is_not_zeroed_alone():
    """If c and d, or a and b, were null, the product would be zero although a path leads through the other factor."""
    space = natrl.from_module(Products(), IMAGE)
    for name in ("a", "b", "c", "d"):
        assert space.reason(name, "null") == "null could cut off one factor of a product or quotient"
    space = natrl.from_module(Gated(), IMAGE)
    for name in ("a", "b"):
        assert space.reason(name, "null") is None  # the gate is zero too


def test_dearer_replacements_are_refused():
    """With one channel a separable 3×3 has 9 + 1 + 2 + 9 + 1 weights and a bias, a plain one 9 and a bias."""
    space = natrl.from_module(nn.Sequential(conv(1, 1), conv(1, 1)), torch.zeros(1, 1, 8, 8))
    assert space.reason("0", "sep_conv_3x3") == "it would cost more: 23 instead of 10 parameters"
    assert space.reason("0", "sep_conv_3x3", cost="rule") is None
    assert space.reason("0", "dil_conv_3x3", cost="rule") is None
    assert space.reason("0", "dil_conv_3x3") == "it would cost more: 11 instead of 10 parameters"
    assert space.reason("0", "conv_1x1") is None


@pytest.mark.parametrize("network", [Residual, Joins, Slices, TwoInputs])
def test_what_masks_allow_is_what_can_be_built_and_costs_no_more(network):
    """Every single move is built and counted by torch; moves with a reason against them are not in the mask."""
    inputs = (IMAGE, torch.zeros(1, 1, 16, 16)) if network is TwoInputs else (IMAGE,)
    space = natrl.from_module(network(), inputs)
    original = counted(space.model, *inputs)
    mask = space.masks(space.architecture)
    assert space.cost(space.architecture) == original
    for slot, (k, name) in product(space.slots, enumerate(LAYER_PRIMITIVES)):
        assert mask[slot.index, k] == (space.reason(slot.name, name) is None)
        if mask[slot.index, k]:
            architecture = space.with_operations({slot.name: name})
            cost = counted(space.build(architecture, verify=False), *inputs)
            assert cost <= original
            assert space.cost(space.prune(architecture)) == cost
    wires = sorted(set(range(space.n_slots)) - {slot.index for slot in space.slots})
    assert (mask[wires].sum(-1) == 1).all()
    assert mask[wires, LAYER_PRIMITIVES.index("skip_connect")].all()


@pytest.mark.parametrize("rule", ["nat", "nat++"])
@pytest.mark.parametrize("cost", ["strict", "rule"])
def test_masks_and_reasons_agree_at_every_state(residual, rule, cost):
    for architecture in residual.samples(np.random.default_rng(0), 5):
        mask, held = residual.masks(architecture, rule, cost), residual.operations(architecture)
        for slot, (k, name) in product(residual.slots, enumerate(LAYER_PRIMITIVES)):
            reason = residual.reason(slot.name, name, held[slot.name], rule, cost)
            assert mask[slot.index, k] == (reason is None), (slot.name, held[slot.name], name)
