"""Scores of replaced networks, and budgets on them."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from natrl.core.architecture import Architecture
from natrl.data import load_data
from natrl.evaluation import Evaluator
from natrl.evaluation.base import FailedEvaluations
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.ledger.file import settings_text
from natrl.modules.importing import from_module
from natrl.modules.replace.stand_ins import Copy
from natrl.modules.space import ModuleSpace
from natrl.policies.limits import BudgetedEvaluator, Limits
from natrl.spaces.budget import Budget
from natrl.training.fitting import measure
from natrl.training.modes import recalibrating
from tests.modules.trained import digits, Residual, trained


class Sealed(TensorDataset):
    """A test split that nobody may read."""

    def __getitem__(self, index: object) -> tuple[torch.Tensor, ...]:
        raise AssertionError("test data was read")


@pytest.fixture(scope="module")
def space() -> ModuleSpace:
    return from_module(trained(), torch.zeros(2, 1, 8, 8))


@pytest.fixture(scope="module")
def evaluator(space: ModuleSpace) -> InheritedEvaluator:
    data = replace(digits(), test=Sealed(*digits().test.tensors))
    return InheritedEvaluator(space, data, validation_images=200)


def test_the_original_scores_with_new_statistics_as_candidates_do(
    space: ModuleSpace, evaluator: InheritedEvaluator
) -> None:
    whole, twin = InheritedEvaluator(space, digits(), validation_images=10**6, steps=0), deepcopy(trained())
    with recalibrating(twin), torch.no_grad():
        twin(whole.inputs)
    assert whole.evaluate([space.architecture]) == [measure(twin, digits().validation).accuracy]
    assert evaluator.evaluate([space.architecture]) > 0.9
    assert evaluator.steps == 0


def test_inherited_weights_are_worth_far_more_than_fresh_ones(
    space: ModuleSpace, evaluator: InheritedEvaluator
) -> None:
    changed = space.with_operations({"stem": "conv_3x3", "conv1": "dil_conv_3x3", "conv2": "sep_conv_3x3"})
    score = evaluator.evaluate([changed])[0]
    fresh = measure(space.build(changed), digits().validation).accuracy
    assert score > fresh + 0.15
    network = evaluator.inherit(changed)
    assert isinstance(network, Residual)
    assert network.hello() == "hello"
    before, after = trained().down.weight, network.down.weight
    assert 0 < (after - before).norm() < before.norm(), "it makes up for what changed before it"


def test_scores_repeat_in_other_processes_and_leave_the_random_state(
    space: ModuleSpace, evaluator: InheritedEvaluator
) -> None:
    architectures = list(space.samples(np.random.default_rng(1), 3))
    state = torch.get_rng_state()
    scores = evaluator.evaluate(architectures)
    assert torch.equal(state, torch.get_rng_state())
    received = pickle.loads(pickle.dumps(evaluator))
    np.testing.assert_array_equal(received.evaluate(architectures[::-1])[::-1], scores)
    assert json.loads(json.dumps(received.settings())) == evaluator.settings()


class Gelu(Residual):
    """The same layers and weights, another activation at the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.gelu(x))


def test_everything_that_a_score_depends_on_is_in_its_key(space: ModuleSpace) -> None:
    other = Gelu()
    other.load_state_dict(trained().state_dict())
    gelu = from_module(other.eval(), torch.zeros(2, 1, 8, 8))
    large = from_module(trained(), torch.zeros(2, 1, 16, 16))
    labels = replace(digits(), validation=TensorDataset(digits().validation.tensors[0], digits().test.tensors[1][:450]))
    evaluators = [
        InheritedEvaluator(space, digits(), steps=0),
        InheritedEvaluator(gelu, digits(), steps=0),
        InheritedEvaluator(large, load_data("digits", image_size=16), steps=0),
        InheritedEvaluator(space, load_data("digits", seed=3), steps=0),
        InheritedEvaluator(space, labels, steps=0),
        InheritedEvaluator(space, digits(), steps=1),
        InheritedEvaluator(space, digits(), steps=0, seed=1),
        InheritedEvaluator(space, digits(), steps=0, metric="cross_entropy"),
        InheritedEvaluator(space, digits(), steps=0, reference_images=100),
        InheritedEvaluator(space, digits(), steps=0, validation_images=100),
    ]
    texts = [settings_text(e.settings()) for e in evaluators]
    assert len(set(texts)) == len(texts)
    assert settings_text(pickle.loads(pickle.dumps(evaluators[0])).settings()) == texts[0]
    with torch.no_grad():
        other.norm.bias += 1
    assert settings_text(evaluators[1].settings()) != texts[1], "a network that is trained on is another one"
    again = InheritedEvaluator(from_module(trained(), torch.zeros(2, 1, 8, 8)), digits(), steps=0)
    assert settings_text(again.settings()) == texts[0]


def test_where_inherited_weights_say_nothing_networks_are_trained_for_a_few_steps() -> None:
    torch.manual_seed(0)
    untrained = from_module(Residual(), torch.zeros(2, 1, 8, 8))
    evaluator = InheritedEvaluator(untrained, digits(), metric="cross_entropy", validation_images=100)
    assert evaluator.steps == 20
    none = InheritedEvaluator(untrained, digits(), metric="cross_entropy", validation_images=100, steps=0)
    architectures = [untrained.architecture]
    assert none.evaluate(architectures) < evaluator.evaluate(architectures) < 0


def test_outputs_that_are_not_finite_are_named() -> None:
    broken = Residual()
    with torch.no_grad():
        broken.classifier.weight.fill_(torch.nan)
    space = from_module(broken, torch.zeros(2, 1, 8, 8))
    with pytest.raises(FailedEvaluations, match=f"{space.architecture.key[:20]}.*cross-entropy on held-out"):
        InheritedEvaluator(space, digits(), steps=0).evaluate([space.architecture])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "loss"}, "unknown metric 'loss'"),
        ({"reference_images": 0}, "reference_images must be at least 1"),
        ({"steps": -1}, "steps must be at least 0"),
    ],
)
def test_bad_settings_are_named(space: ModuleSpace, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InheritedEvaluator(space, digits(), **settings)


class Fixed(Evaluator):
    """The same score for all."""

    def __init__(self, metric: str, score: float) -> None:
        self.metric, self.score = metric, score

    def evaluate(self, architectures: list[Architecture]) -> np.ndarray:
        return np.full(len(architectures), self.score)


def test_scores_fall_where_a_budget_is_exceeded(space: ModuleSpace) -> None:
    """MnasNet's factor by hand: at 80 % of the MAdds and 50 % of the parameters the original is worth 0.4 of itself."""
    cost = space.cost(space.architecture)
    both = Budget(madds=0.8 * cost.madds, params=0.5 * cost.params)
    assert BudgetedEvaluator(Fixed("accuracy", 0.9), space, both).evaluate([space.architecture]) == [
        pytest.approx(0.36)
    ]
    entropy = BudgetedEvaluator(Fixed("cross_entropy", -0.5), space, both).evaluate([space.architecture])
    assert entropy == [pytest.approx(-1.25)]
    within = Budget(madds=cost.madds)
    assert BudgetedEvaluator(Fixed("accuracy", 0.9), space, within).evaluate([space.architecture]) == [0.9]


def test_limits_are_numbers_or_shares(space: ModuleSpace) -> None:
    cost = space.cost(space.architecture)
    limits = Limits.of({"madds": "80%", "params": 1000, "latency": "50%"})
    assert limits.budget(space, space.architecture) == Budget(0.8 * cost.madds, 1000)
    assert limits.seconds("latency", 0.02) == 0.01
    assert Limits.of({"batch_latency": 0.005}).seconds("batch_latency", 0.02) == 0.005
    assert Limits.of({"batch_latency": 0.005}).timed == ("batch_latency",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r'at least one of madds, params, latency, batch_latency, such as \{"madds": "80%"\}'),
        ({"flops": 1}, "unknown budget 'flops'; known: madds, params, latency"),
        ({"latency": "fast"}, "latency must be a number or a share"),
    ],
)
def test_a_bad_budget_is_named(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits.of(given).seconds("latency", 1.0)


def test_a_skip_recalibrates_too(space: ModuleSpace, evaluator: InheritedEvaluator) -> None:
    """Nothing is fitted where a layer without weights comes in, but the statistics behind it change."""
    network = evaluator.inherit(space.with_operations({"conv2": "skip_connect"}))
    assert isinstance(network.conv2, Copy)
    assert not torch.allclose(network.norm2.running_mean, trained().norm2.running_mean)
