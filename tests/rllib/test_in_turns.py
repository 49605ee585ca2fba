"""The papers' schedule: in each iteration one pass over 40 % of the images for the weights, one over the rest for θ."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from natrl.evaluation.supernet import SupernetEvaluator
from natrl.training.supernet import SupernetTrainer
from natrl.training.weight_settings import PAPER
from natrl.tuning.configuration import run_configuration
from natrl.tuning.documents import complete

pytestmark = pytest.mark.usefixtures("ray_session")
SMALL = {"schedule": "paper", "skeleton": {"channels": 2, "cells": 2}}
WEIGHTS, POLICY = 320, 480  # of the 800 training images of digits


def built(**changes: Any) -> Any:
    """The algorithm of `natrl train --schedule paper` on digits with a small supernet."""
    settings = complete({"evaluator": SMALL, "learn": {"iterations": 3, **changes}})
    return run_configuration(settings, None).build_algo()


class Seen:
    """The images that weights were trained on and architectures were scored on, by their pixels, call by call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[set[bytes]] = []
        self.scored: list[tuple[int, set[bytes]]] = []  # with the version
        step, evaluate = SupernetTrainer._make_step, SupernetEvaluator.evaluate

        def make_step(trainer: Any, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            self.trained.append(pixels(images))
            return step(trainer, images, labels)

        def scoring(evaluator: Any, architectures: Any) -> Any:
            self.scored += [(evaluator.version, pixels(evaluator._images))] * len(architectures)
            return evaluate(evaluator, architectures)

        monkeypatch.setattr(SupernetTrainer, "_make_step", make_step)
        monkeypatch.setattr(SupernetEvaluator, "evaluate", scoring)


def pixels(images: torch.Tensor) -> set[bytes]:
    return {image.contiguous().numpy().tobytes() for image in images}


def test_each_iteration_is_a_pass_for_the_weights_and_one_for_the_policy(monkeypatch):
    seen, algo = Seen(monkeypatch), built()
    for iteration in range(1, 3):
        result = algo.train()
        assert len(seen.trained) == 5 * iteration, "320 images in batches of 64"
        assert result["weights_version"] == 7 * iteration, "480 images in batches of 64, the last one incomplete"
        assert result["weights_steps"] == 5 * iteration
    trained = set.union(*seen.trained)
    scored = set.union(*(images for _, images in seen.scored))
    assert len(trained) == WEIGHTS
    assert len(scored) <= POLICY
    assert not trained & scored
    assert len(set.union(*seen.trained[:5])) == WEIGHTS, "no image twice in a pass"
    first = {version: images for version, images in seen.scored if version <= 7}
    assert len(set.union(*first.values())) == 7 * 64
    assert sorted(first) == [1, 2, 3, 4, 5, 6, 7]
    algo.stop()


def test_an_update_is_one_transform_scored_against_its_original_on_the_same_images(monkeypatch):
    seen, algo = Seen(monkeypatch), built()
    algo.train()
    versions = [version for version, _ in seen.scored]
    assert versions == sorted(versions)
    assert max(map(versions.count, versions)) <= 2, "an original and what was made of it"
    assert len(algo.environment._episodes.initial) == 1
    algo.stop()


def test_the_optimizers_are_the_papers():
    algo = built()
    algo.train()
    learner = algo.learner_group._learner
    (optimizer,) = learner._named_optimizers.values()
    assert isinstance(optimizer, torch.optim.Adam)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.5, 0.999), 5e-4)
    assert learner._entropy_coeff.get_current_value() == 0.003
    assert (learner._advantages.baseline, learner._advantages.decay) == ("ema", 0.99)
    assert not learner._advantages.standardise
    trainer = algo.evaluator.inner.trainer
    assert trainer.settings == PAPER
    (weights,) = trainer._optimizer.param_groups
    assert (weights["lr"], weights["momentum"], weights["weight_decay"]) == (0.01, 0.9, 3e-4)
    algo.stop()


NAMES = ("reward_mean", "accuracy_mean", "entropy", "policy_loss", "weights_loss", "weights_version")


def numbers(results: list[dict[str, Any]]) -> list[list[float]]:
    return [[float(result[name]) for name in NAMES] for result in results]


def test_trains_twice_equal_and_goes_on_from_a_checkpoint(tmp_path):
    first = built()
    whole = [first.train() for _ in range(2)]
    first.save_checkpoint(str(tmp_path))
    whole.append(first.train())
    second = built()
    assert numbers([second.train() for _ in range(2)]) == numbers(whole[:2])
    third = built()
    third.load_checkpoint(str(tmp_path))
    assert numbers([third.train()]) == numbers(whole[2:])
    for algo in (first, second, third):
        algo.stop()


def test_the_learning_rate_falls_over_all_updates():
    algo = built(updates=4, learning_rate=1e-3, final_learning_rate=1e-4, iterations=2)
    for _ in range(2):
        algo.train()
    (optimizer,) = algo.learner_group._learner._named_optimizers.values()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4, rel=0.2)
    algo.stop()
