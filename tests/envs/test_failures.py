"""A transform from or to an architecture that cannot be evaluated is worth no more than any other of its batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import natrl
from natrl.envs import ArchTransitionEnv, ArchTransitionSequentialEnv, ArchTransitionVectorEnv
from natrl.evaluation import CachedEvaluator, Evaluator, FailedEvaluations
from tests.envs.checks import ByName

SPACE = natrl.space("nasbench201")


class Fragile(ByName):
    """Whatever holds an operation in its first slot cannot be evaluated."""

    def __init__(self, *poison: str) -> None:
        self.poison = poison

    def evaluate(self, architectures):  # type: ignore[no-untyped-def]
        scores = super().evaluate(architectures)
        failed = np.array([a.operations[0] in self.poison for a in architectures])
        if failed.any():
            bad = {a.key: "no memory" for a, f in zip(architectures, failed, strict=True) if f}
            raise FailedEvaluations(bad, np.where(failed, np.nan, scores))
        return scores


def skipping(evaluator: Evaluator) -> CachedEvaluator:
    return CachedEvaluator(evaluator, on_failure="skip")


@given(seed=st.integers(0, 10_000), poison=st.sampled_from(["null", "skip_connect", "conv_1x1"]))
@settings(max_examples=30, deadline=None)
def test_in_a_batch_it_is_worth_the_least(seed, poison):
    env = ArchTransitionVectorEnv(7, evaluator=skipping(Fragile(poison)), horizon=2, initial="pool:20")
    _, info = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    lowest = None
    for _ in range(2):
        before = info["score"]
        chances = np.where(info["action_mask"], rng.random(info["action_mask"].shape), -1)
        _, rewards, *_, info = env.step(chances.argmax(-1))
        gains = info["score"] - before
        known = ~np.isnan(gains)
        np.testing.assert_array_equal(rewards[known], gains[known])
        least = gains[known].min() if known.any() else (-1.0 if lowest is None else lowest)
        assert (rewards[~known] == least).all()
        lowest = least if lowest is None else min(lowest, least)
    assert np.isfinite(env._episodes.returns).all()


@pytest.mark.parametrize("kind", [ArchTransitionEnv, ArchTransitionSequentialEnv])
def test_alone_it_is_worth_the_least_so_far(kind):
    """To the poisoned architecture before anything is known, then after a known loss, and within the clip."""
    start = next(a for a in SPACE.architectures() if a.is_live and a.operations[0] == a.operations[3] == "conv_3x3")

    def reward(env, operations):  # type: ignore[no-untyped-def]
        env.reset(options={"architecture": start})
        action = [SPACE.primitives.index(op) for op in operations]
        for part in [action] if kind is ArchTransitionEnv else action:
            _, reward, *_, info = env.step(np.array(part))
        return reward, info["score"]

    poisoned, harmless = ("null", *start.operations[1:]), (*start.operations[:3], "conv_1x1", *start.operations[4:])
    env = kind(evaluator=skipping(Fragile("null")))
    value, score = reward(env, poisoned)
    assert (value, np.isnan(score)) == (-1.0, True)
    value, score = reward(env, harmless)
    assert value == score - ByName().evaluate([start])[0]
    assert reward(env, poisoned)[0] == value
    assert reward(kind(evaluator=skipping(Fragile("null")), reward_clip=0.1), poisoned)[0] == -0.1


def test_where_nobody_skips_a_failure_it_is_raised():
    env = ArchTransitionEnv(evaluator=Fragile(*SPACE.primitives))
    with pytest.raises(FailedEvaluations, match="no memory"):
        env.reset(seed=0)
