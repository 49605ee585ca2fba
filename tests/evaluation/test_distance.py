"""Scores without labels: how far outputs are from the original's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn, Tensor

from natrl.evaluation.distance import named_score, OutputDistance
from natrl.tuning.optimize import OptimizeSettings
from natrl.tuning.optimize.given import space_and_task


class Given(nn.Module):
    """Gives what it holds, in a form of the test's choice."""

    def __init__(self, *outputs: Tensor, form: Any = tuple) -> None:
        super().__init__()
        self.outputs, self.form = outputs, form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.outputs)


@dataclass
class Answer:
    """As transformers' models return one."""

    scores: Tensor
    note: str


X = (torch.zeros(1),)
LOGITS = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])  # classes with 1/4 and 3/4, and evenly


def test_logits_are_compared_by_their_probabilities() -> None:
    """KL(original ‖ network) = ½ (¼ ln(¼ / ½) + ¾ ln(¾ / ½)) where the network says ½ everywhere."""
    score = OutputDistance(Given(LOGITS), X)
    assert score(Given(LOGITS)) == pytest.approx(0, abs=1e-7)
    assert score(Given(LOGITS + 5)) == pytest.approx(0, abs=1e-6)
    by_hand = (0.25 * math.log(0.5) + 0.75 * math.log(1.5)) / 2
    assert score(Given(torch.zeros(2, 2))) == pytest.approx(-by_hand, rel=1e-5)


def test_other_tensors_are_compared_relative_to_their_size() -> None:
    """Σ (a − b)² / Σ b² = (1 + 0) / (1 + 4)."""
    maps = torch.tensor([[[1.0, 2.0]]])
    assert OutputDistance(Given(maps), X)(Given(torch.tensor([[[2.0, 2.0]]]))) == pytest.approx(-0.2)
    assert OutputDistance(Given(10 * maps), X)(Given(torch.tensor([[[20.0, 20.0]]]))) == pytest.approx(-0.2)
    assert OutputDistance(Given(torch.ones(3, 1)), X)(Given(torch.zeros(3, 1))) == -1


@pytest.mark.parametrize(
    "form", [tuple, list, lambda t: {"a": [t[0]], "b": t[1]}, lambda t: [{"c": t[0]}, Answer(t[1], "a note")]]
)
def test_the_mean_over_all_outputs_in_any_nesting(form: Any) -> None:
    one, half = torch.ones(2, 1, 1), 0.5 * torch.ones(2, 1, 1)
    score = OutputDistance(Given(one, one, form=form), X)
    assert score(Given(one, half, form=form)) == pytest.approx(-0.125)


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(ValueError, match="other shapes than the original's: give a score of your own"):
        OutputDistance(Given(torch.ones(2, 1)), X)(Given(torch.ones(3, 1)))
    with pytest.raises(ValueError, match="compares floating-point outputs, and the network gives none"):
        OutputDistance(Given(torch.ones(2, dtype=torch.int64)), X)
    with pytest.raises(ValueError, match="a score is a function of a network, or \"distance\", got 'accuracy'"):
        named_score("accuracy", nn.Identity(), X)


def test_optimize_takes_it_by_name() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    space, task = space_and_task(model, None, {}, "distance", None, torch.rand(8, 1, 6, 6), None, OptimizeSettings())
    assert task.original(model) == "the original: distance 0"
    changed = space.build(space.with_operations({"0": "conv_1x1"}))
    assert task.figures(changed)[0] < -0.01
