"""Evaluators around evaluators: everything that they do not change reaches the one inside."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import natrl
from natrl.evaluation.base import Evaluator
from natrl.evaluation.cache import CachedEvaluator
from natrl.evaluation.wrapper import EvaluatorWrapper
from natrl.policies.limits import BudgetedEvaluator
from natrl.spaces.budget import Budget

SPACE = natrl.space("nasbench201")
ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(3)]


class Shared(Evaluator):
    """Scores are its one weight; it remembers what it was asked to do."""

    metric = "accuracy"

    def __init__(self):
        self.version, self.weight, self.calls = 0, 0.0, []

    def evaluate(self, architectures):
        return np.full(len(architectures), self.weight)

    def settings(self):
        return {"kind": "shared"}

    def statistics(self):
        return {"queue": 7.0}

    def train_weights(self, steps):
        self.version, self.weight = self.version + 1, steps / 10
        return {"loss": 1.0}

    def before_iteration(self):
        self.calls.append("before_iteration")

    def proposed(self, architectures):
        self.calls.append(("proposed", list(architectures)))

    def get_weights(self):
        return {"weight": np.array(self.weight)}

    def set_weights(self, weights, version):
        self.weight, self.version = float(weights["weight"]), version

    def state_dict(self):
        return {"weight": self.weight}

    def load_state_dict(self, state):
        self.weight = state["weight"]

    def close(self):
        self.calls.append("close")


WRAPPERS = {
    "cached": CachedEvaluator,
    "budgeted": lambda inner: BudgetedEvaluator(inner, SPACE, Budget()),
}


def test_the_base_class_passes_on_every_method_of_an_evaluator():
    methods = {name for name, _ in inspect.getmembers(Evaluator, inspect.isfunction)} - {"evaluate"}
    assert methods <= set(vars(EvaluatorWrapper))
    assert isinstance(vars(EvaluatorWrapper)["version"], property)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_weights_and_their_version_travel_through(wrap):
    """As the pool sends them from the trained evaluator to those on actors."""
    trained, other = wrap(Shared()), wrap(Shared())
    assert other.evaluate(ARCHS).tolist() == [0.0] * 3
    assert trained.train_weights(3) == {"loss": 1.0}
    other.set_weights(trained.get_weights(), trained.version)
    assert other.version == 1
    assert other.evaluate(ARCHS).tolist() == [0.3] * 3


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_state_and_calls_reach_the_one_inside(wrap):
    first, second = wrap(Shared()), wrap(Shared())
    first.train_weights(5)
    second.load_state_dict(first.state_dict())
    assert second.inner.weight == 0.5
    second.before_iteration()
    second.proposed(ARCHS)
    second.close()
    assert second.inner.calls == ["before_iteration", ("proposed", ARCHS), "close"]
    assert second.statistics()["queue"] == 7.0
