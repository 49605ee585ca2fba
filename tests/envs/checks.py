"""The shared checker: every environment of this package must pass every check here."""

from __future__ import annotations

from typing import Any

import numpy as np

from natrl.evaluation import Evaluator


class ByName(Evaluator):
    """Scores that depend on operations only: enough to check an environment exactly, and in microseconds."""

    calls = 0

    def evaluate(self, architectures):  # type: ignore[no-untyped-def]
        self.calls += 1
        return np.array([sum(map(len, a.operations)) % 97 / 97 for a in architectures])


def rollout(env: Any, seed: int, steps: int, *, masked: bool = True) -> list[Any]:
    """What a seeded random policy sees: observations, rewards, ends, and info."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    seen = [(observation, 0.0, False, info)]
    for _ in range(steps):
        mask = info["action_mask"] if masked else np.ones_like(info["action_mask"])
        logits = np.where(mask, rng.random(mask.shape), -1)
        observation, reward, ended, truncated, info = env.step(logits.argmax(-1))
        assert not truncated
        seen.append((observation, reward, ended, info))
        if ended:
            observation, info = env.reset()
            seen.append((observation, 0.0, False, info))
    return seen


def assert_same(first: list[Any], second: list[Any]) -> None:
    """Two roll-outs agree to the last bit."""
    assert len(first) == len(second)
    for (o1, r1, e1, i1), (o2, r2, e2, i2) in zip(first, second, strict=True):
        assert o1.keys() == o2.keys()
        for key in o1:
            np.testing.assert_array_equal(o1[key], o2[key])
        assert (r1, e1) == (r2, e2)
        assert i1["architecture"] == i2["architecture"]


def check_promise(seen: list[Any], env: Any) -> None:
    """Rewards are score differences, masked actions are valid, and nothing ever costs more or dies."""
    for observation, _, _, info in seen:
        assert env.observation_space.contains(observation)
        initial, present = info["initial_architecture"], info["architecture"]
        assert initial.is_live
        assert present.is_live or observation.get("slot", 0) > 0  # within a transform a path may still be to come
        assert env.core.space.cost(present) <= env.core.space.cost(initial)
        assert (info["params"], info["madds"]) == tuple(vars(env.core.space.cost(present)).values())
        assert info["invalid_actions"] == 0
