"""A network with all its choices, and scores from it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from natrl.evaluation.supernet import SupernetEvaluator
from natrl.modules import from_module, ModuleSpace
from natrl.modules.network_supernet import ModuleSupernet
from natrl.policies.limits import BudgetedEvaluator
from natrl.spaces.budget import Budget
from natrl.training.weight_settings import INHERITED
from tests.modules.trained import digits, trained


@pytest.fixture(scope="module")
def space() -> ModuleSpace:
    return from_module(trained(), torch.zeros(2, 1, 8, 8))


def evaluator(space: ModuleSpace) -> SupernetEvaluator:
    faster = replace(INHERITED, learning_rate=0.03)
    return SupernetEvaluator(space, digits(), settings=faster, score_images=200, reference_images=128)


def test_the_path_of_the_original_is_exact_and_every_path_runs(space: ModuleSpace) -> None:
    images = digits().train.tensors[0][:32]
    supernet = ModuleSupernet(space, images).eval()
    assert torch.equal(supernet(images, space.architecture), trained()(images))
    masks = space.masks(space.architecture)
    for slot in space.slots:
        for k in np.flatnonzero(masks[slot.index]):
            operations = list(space.architecture.operations)
            operations[slot.index] = space.primitives[k]
            outputs = supernet(images, space.architecture.with_operations(operations))
            assert outputs.shape == (32, 10)
            assert torch.isfinite(outputs).all()
    assert torch.equal(supernet(images, space.architecture), trained()(images))
    operations = list(space.architecture.operations)
    operations[space.slot("down").index] = "conv_7x7"
    with pytest.raises(ValueError, match=r"layer 'down' has no choice 'conv_7x7' in the supernet; it has: conv_3x3"):
        supernet.select(space.architecture.with_operations(operations))


def test_scores_repeat_and_training_raises_those_of_other_paths(space: ModuleSpace) -> None:
    shared = evaluator(space)
    paths = list(space.samples(np.random.default_rng(4), 8))
    before = shared.evaluate([space.architecture, *paths])
    np.testing.assert_array_equal(shared.evaluate([*paths, space.architecture])[:-1], before[1:])
    assert before[0] == before.max() > 0.9
    metrics = shared.train_weights(300)
    assert shared.version == 1
    assert metrics["steps"] == 300
    assert shared.evaluate(paths).mean() > before[1:].mean() + 0.1


def test_a_saved_state_goes_on_alike(space: ModuleSpace) -> None:
    first, second = evaluator(space), evaluator(space)
    third = BudgetedEvaluator(evaluator(space), space, Budget())  # passes all of it on
    paths = list(space.samples(np.random.default_rng(4), 2))
    first.train_weights(3)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    third.set_weights(first.get_weights(), first.version)
    scores = first.evaluate(paths)
    for other in (second, third):
        np.testing.assert_array_equal(other.evaluate(paths), scores)
        assert other.version == 1
    assert first.train_weights(3) == second.train_weights(3)
