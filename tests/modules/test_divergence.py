"""Scores by how far outputs are from the original's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import natrl
from natrl.evaluation.divergence import DivergenceEvaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.modules.importing import from_module
from tests.modules.trained import digits, trained


def test_a_score_is_minus_the_divergence_from_the_original_whatever_the_labels_are() -> None:
    space = from_module(trained(), torch.zeros(2, 1, 8, 8))
    given = {"steps": 0, "reference_images": 64, "validation_images": 10**6}
    data = digits()
    evaluator = DivergenceEvaluator(space, data, **given)
    changed = [
        space.with_operations(ops) for ops in ({"conv1": "sep_conv_3x3"}, {"conv1": "conv_1x1", "down": "conv_1x1"})
    ]
    scores = evaluator.evaluate([space.architecture, *changed])
    assert scores[0] == 0 > scores[1] > scores[2]
    images, labels = data.validation[:]
    p, q = (evaluator.inherit(a)(images).double().softmax(1).detach().numpy() for a in (space.architecture, changed[0]))
    assert scores[1] == pytest.approx(-np.mean(np.sum(p * np.log(p / q), 1)), rel=1e-6)
    wrong = replace(data, validation=TensorDataset(images, labels.flip(0)))
    np.testing.assert_allclose(DivergenceEvaluator(space, wrong, **given).evaluate(changed), scores[1:], rtol=1e-6)
    assert evaluator.settings() != InheritedEvaluator(space, data, metric="cross_entropy", **given).settings()
    trained_on = DivergenceEvaluator(space, data, **given | {"steps": 1})
    assert trained_on.evaluate([space.architecture]) == 0
    spec = EvaluatorSpec("divergence", space, data, steps=0, reference_images=64, score_images=10**6)
    assert spec().settings() == evaluator.settings()


def test_cells_have_no_original() -> None:
    with pytest.raises(ValueError, match="space 'darts' has no network of the user's, which others could be compared"):
        DivergenceEvaluator(natrl.space("darts"), digits())
