"""What settings are where nobody gives them: by reward, algorithm and schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import Reward, REWARDS
from natrl.rllib.registry import ALGORITHMS, REINFORCE
from natrl.spaces import space as find_space
from natrl.training.weight_settings import PAPER

__all__ = ["EFFECTS_LEARN", "NETWORK_LEARN", "NETWORK_RUN", "in_turns", "one_pass", "presets_of", "without_presets"]

Presets = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]  # of the evaluator, the algorithm and the run

#: Batches where an evaluation costs seconds.
SMALL = {
    "iterations": 50,
    "batch_size": 64,
    "minibatch_size": 32,
    "entropy": 0.01,
    "final_entropy": 0.01,
    "reward_scale": 1.0,
}

#: Of a network that the user has, a few hundred evaluations: each builds, fits and measures a network. Small steps: at
#: a higher rate the first update threw away that the policy starts near the network.
NETWORK_LEARN: dict[str, Any] = {
    "iterations": 16,
    "batch_size": 16,
    "minibatch_size": 16,
    "epochs": 2,
    "learning_rate": 1e-3,
    "final_learning_rate": 5e-4,
    "entropy": 0.005,
    "final_entropy": 0.001,
}
#: … and where it learns from sums of effects, which cost nothing.
EFFECTS_LEARN: dict[str, Any] = {
    **NETWORK_LEARN,
    "iterations": 60,
    "batch_size": 128,
    "minibatch_size": 64,
    "epochs": 4,
    "learning_rate": 2e-3,
    "final_learning_rate": 2e-4,
    "entropy": 0.01,
}
NETWORK_RUN: dict[str, Any] = {"initial": "original", "keep": 3.0, "checkpoint_every": 1}

#: Where a surrogate predicts them: that many episodes cost nothing, and no more are needed.
PREDICTED = {"iterations": 120, "batch_size": 256, "minibatch_size": 128, "entropy": 0.1, "final_entropy": 0.01}

#: How NAT++ trains (arXiv 2102.10301, section 6.1): an iteration is one epoch of the paper.
PAPER_EVALUATOR = {
    "metric": "accuracy",
    "weights": asdict(PAPER),
    "weight_share": 0.4,
    "score_images": PAPER.batch_size,
    "skeleton": {"channels": 20, "cells": 8},
}
PAPER_LEARN = {
    "iterations": 200,
    "learning_rate": 3e-4,
    "final_learning_rate": 3e-4,
    "entropy": 0.003,
    "final_entropy": 0.003,
    "gradient_clip": None,
    "beta1": 0.5,
    "beta2": 0.999,
    "weight_decay": 5e-4,
}


def presets_of(evaluator: Mapping[str, Any], learn: Mapping[str, Any]) -> Presets:
    """Defaults for the space, reward, schedule and algorithm that these name: tables are cheap, networks are not.

    A supernet of schedule "paper" and its policy are trained in turns. PPO, which is not the papers', keeps its batches
    there: one episode is none to it.
    """
    reward = REWARDS.get(evaluator.get("reward", "supernet"))
    turns = in_turns(reward, evaluator.get("schedule", "quick"))
    name = learn.get("algorithm", "reinforce" if turns else "ppo")
    algorithm = ALGORITHMS.get(name)
    if turns:
        return PAPER_EVALUATOR, {"algorithm": name, **SMALL, **PAPER_LEARN, **algorithm.in_turns}, {"head": "joint"}
    if find_space(evaluator.get("space", EvaluatorSpec.space)).original is not None:
        return {}, NETWORK_LEARN, NETWORK_RUN
    usual = dict(algorithm.presets)
    predicted = evaluator.get("surrogate") is not None
    if "data" not in reward.takes:
        return {}, {**PREDICTED, "reward_scale": 100.0} | usual if predicted else usual, {}
    small = {**SMALL, "warmup_steps": 2500} if reward.changes else SMALL
    metric = {"metric": "cross_entropy"} if "metric" in reward.takes else {}
    own = {**small, **PREDICTED} if predicted else small
    return metric, usual | own, {"initial": "pool:80", "reward_clip": 1.0, "keep": 2.0}


def in_turns(reward: Reward, schedule: Any) -> bool:
    """Whether shared weights and policy are trained in turns, as published."""
    return reward.changes and "schedule" in reward.takes and schedule == "paper"


def one_pass(spec: EvaluatorSpec) -> dict[str, int]:
    """`weight_steps` and `updates` that read the images of weights and policy once. ValueError if there are none."""
    from natrl.data.passes import pass_length

    images = _training_images(spec.data, spec.image_size, spec.seed)
    weights = round(spec.weight_share * images)
    return {
        "weight_steps": pass_length(weights, (spec.weights or PAPER).batch_size),
        "updates": pass_length(images - weights, spec.score_images),
    }


@cache
def _training_images(data: str, image_size: int | None, seed: int) -> int:
    """How many there are; a sweep asks for each of its trials."""
    from natrl.data import load_data
    from natrl.data.labels import size_of

    return size_of(load_data(data, seed=seed, image_size=image_size).train)


def without_presets(document: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without what depends on the schedule, so that another one's presets take its place."""
    of_evaluator = {*PAPER_EVALUATOR, "schedule", "total_steps"}
    of_learn = {*SMALL, *PAPER_LEARN, *REINFORCE.in_turns, "algorithm", "warmup_steps", "weight_steps", "updates"}
    dropped = {"evaluator": of_evaluator, "learn": of_learn}
    kept = {name: part for name, part in document.items() if name not in ("head", "initial", "reward_clip", "keep")}
    return {
        name: {n: value for n, value in part.items() if n not in dropped[name]}
        if name in dropped and isinstance(part, Mapping)
        else part
        for name, part in kept.items()
    }
