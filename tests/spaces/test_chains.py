"""Chains, against what NAS-Bench-Macro published and what torch counts."""

from __future__ import annotations

import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from ray import cloudpickle
from torch.utils.flop_counter import FlopCounterMode

import natrl
from natrl.core.operations import Convolution
from natrl.core.transitions import CostMode
from natrl.evaluation.user_code import share_user_code


@pytest.fixture
def macro(forgotten_operations: None) -> natrl.ChainSpace:
    """The example's space; its operations are registered for the test alone."""
    sys.modules.pop("examples.nasbench_macro", None)
    space: natrl.ChainSpace = import_module("examples.nasbench_macro").SPACE
    return space


PUBLISHED = {
    "skip_connect": natrl.Cost(387_882, 7_713_280),
    "mb3_3x3": natrl.Cost(1_588_874, 53_246_464),
    "mb6_5x5": natrl.Cost(2_932_586, 105_660_928),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_costs_are_the_published_ones(macro: natrl.ChainSpace, name: str) -> None:
    assert macro.cost(macro.architecture([name] * 8)) == PUBLISHED[name]


@pytest.mark.parametrize("seed", range(3))
def test_torch_counts_what_the_space_counts(macro: natrl.ChainSpace, seed: int) -> None:
    architecture = macro.sample(np.random.default_rng(seed))
    network = macro.build(architecture).eval()
    with FlopCounterMode(display=False) as counter:
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    params = sum(p.numel() for p in network.parameters())
    assert natrl.Cost(params, counter.get_total_flops() // 2) == macro.cost(architecture)


@pytest.mark.parametrize("cost", ["strict", "rule", "live"])
def test_the_rule_goes_from_mb6_to_mb3_to_identity(macro: natrl.ChainSpace, cost: CostMode) -> None:
    names = ["mb6_5x5", "mb3_3x3", *["skip_connect"] * 6]
    masks = macro.masks(macro.architecture(names), cost=cost)
    assert masks.tolist() == [[True, True, True], [False, True, True], *[[False, False, True]] * 6]


def test_all_architectures_are_listed_and_keys_are_read_back(macro: natrl.ChainSpace) -> None:
    keys = {a.key for a in macro.architectures()}
    assert len(keys) == 6561
    architecture = macro.sample(np.random.default_rng(0))
    assert natrl.parse(architecture.key) == architecture


def test_a_copy_counts_alike(macro: natrl.ChainSpace) -> None:
    share_user_code()
    copy = cloudpickle.loads(cloudpickle.dumps(macro))
    batch = macro.samples(np.random.default_rng(0), 5)
    assert [copy.cost(a) for a in batch] == [natrl.Cost(*c) for c in batch.costs.tolist()]


@pytest.mark.parametrize(
    ("layers", "primitives", "message"),
    [
        ([(8, 8), (16, 16)], ("skip_connect",), "layer 1 takes 16 channels, layer 0 gives 8"),
        ([(8, 8)], ("null",), "null would cut a chain"),
        ([(8, 16)], ("max_pool_3x3",), "layer 0: max_pool_3x3 keeps its channels"),
        ([], ("skip_connect",), "needs a stem and at least one layer"),
    ],
)
def test_what_does_not_fit_is_refused(layers: list, primitives: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        natrl.ChainSpace("mine", layers, primitives, stem=[Convolution(3, 8, (3, 3))])
