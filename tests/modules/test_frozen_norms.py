"""Batch-norms that a user has frozen keep their statistics, whatever natrl does; others change alike."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.modules.importing import from_module
from natrl.training.fine_tuning import fine_tune
from natrl.training.fitting import measure
from natrl.training.modes import frozen_norms, recalibrating
from natrl.training.schedule import FINE_TUNING
from tests.modules.trained import digits, Residual, trained


class Kept(Residual):
    """Its own `train` keeps a batch-norm in evaluation mode."""

    def train(self, mode: bool = True) -> Kept:
        super().train(mode)
        self.norm1.eval()
        return self


def kept() -> nn.Module:
    model = Kept()
    model.load_state_dict(trained().state_dict())
    return model.eval()


def by_mode() -> nn.Module:
    model = deepcopy(trained()).train()
    model.norm1.eval()
    return model


def by_weights() -> nn.Module:
    model = deepcopy(trained())
    model.norm1.requires_grad_(False)
    return model


def by_momentum() -> nn.Module:
    model = deepcopy(trained())
    model.norm1.momentum = 0.0
    return model


def by_type() -> nn.Module:
    model = deepcopy(trained())
    frozen = torchvision.ops.FrozenBatchNorm2d(8)
    frozen.load_state_dict(model.norm1.state_dict())
    model.norm1 = frozen
    return model


FROZEN = [kept, by_mode, by_weights, by_momentum, by_type]


def statistics(norm: nn.Module) -> list[torch.Tensor]:
    return [norm.running_mean.clone(), norm.running_var.clone()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("make", FROZEN, ids=lambda make: make.__name__)
def test_frozen_statistics_stay(make: Callable[[], nn.Module]) -> None:
    """In candidates, in the original, in fine-tuning and in the supernet; those of the others change."""
    model, data = make(), digits()
    frozen, other = statistics(model.norm1), statistics(model.norm2)
    space = from_module(model, torch.zeros(2, 1, 8, 8))
    evaluator = InheritedEvaluator(space, data, validation_images=100, reference_images=64, steps=1)
    evaluator.evaluate([space.architecture])
    for changes in ({}, {"stem": "conv_3x3", "down": "conv_1x1"}):
        network = evaluator.inherit(space.with_operations(changes))
        assert same(statistics(network.norm1), frozen)
        assert not same(statistics(network.norm2), other)
        before = statistics(network.norm2)
        fine_tune(network, data, replace(FINE_TUNING, epochs=1, batch_size=500), seed=0, device="cpu")
        assert same(statistics(network.norm1), frozen)
        assert not same(statistics(network.norm2), before)
    assert same(statistics(model.norm1), frozen)
    assert same(statistics(model.norm2), other)


def test_frozen_statistics_stay_in_a_supernet() -> None:
    space = from_module(by_mode(), torch.zeros(2, 1, 8, 8))
    evaluator = SupernetEvaluator(space, digits(), score_images=100, reference_images=64)
    evaluator.train_weights(2)
    evaluator.evaluate([space.architecture])
    state = evaluator.supernet.state_dict()
    names = [name for name in state if "norm1" in name and name.endswith("running_mean")]
    assert [torch.equal(state[name], space.model.norm1.running_mean) for name in names] == [True]
    (other,) = (name for name in state if "norm2" in name and name.endswith("running_mean"))
    assert not torch.equal(state[other], space.model.norm2.running_mean)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(nn.Identity(), m)])
def test_a_network_in_evaluation_mode_is_not_frozen(wrap: Callable[[nn.Module], nn.Module]) -> None:
    """Not even within something new, which is in training mode."""
    assert not frozen_norms(wrap(deepcopy(trained()).eval()))
    assert not frozen_norms(wrap(deepcopy(trained()).train()))


def test_a_frozen_part_of_a_network() -> None:
    model = nn.Sequential(deepcopy(trained()), deepcopy(trained())).train()
    model[0].eval()
    assert len(frozen_norms(model)) == 4
    modes = [module.training for module in model.modules()]
    measure(nn.Sequential(model[0]), digits().validation)
    assert [module.training for module in model.modules()] == modes


def test_the_original_gets_what_candidates_get() -> None:
    """Statistics that fit the data badly are mended for both: the difference is the replacement's alone."""
    model, data = deepcopy(trained()), digits()
    model.norm.running_mean += 2 * model.norm.running_var.sqrt()
    space = from_module(model, torch.zeros(2, 1, 8, 8))
    as_it_is = measure(deepcopy(model), data.validation).accuracy
    for evaluator in (
        InheritedEvaluator(space, data, validation_images=10**6, steps=0),
        SupernetEvaluator(space, data, score_images=10**6),
    ):
        assert evaluator.evaluate([space.architecture])[0] > as_it_is + 0.1
    network = InheritedEvaluator(space, data, steps=0).inherit(space.architecture)
    twin = deepcopy(model)
    with recalibrating(twin), torch.no_grad():
        twin(InheritedEvaluator(space, data, steps=0).inputs)
    torch.testing.assert_close(dict(network.state_dict()), dict(twin.state_dict()), rtol=0, atol=0)
