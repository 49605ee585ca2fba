"""Returns and baselines against hand-derived numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing

from natrl.rllib.advantages import Advantages, others_mean, returns_to_go


def test_returns_to_go_by_hand():
    rewards = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    expected = [1.0 + 0.5 * 2, 2.0, 4.0 + 0.5 * (8 + 0.5 * 16), 8 + 0.5 * 16, 16.0]
    np.testing.assert_allclose(returns_to_go(rewards, [2, 3], 0.5), expected)
    np.testing.assert_array_equal(returns_to_go(rewards, [1] * 5, 0.5), rewards)


def batch(rewards: list[float], states: list[int]) -> dict[str, Any]:
    observations = {
        "ops": torch.tensor(states)[:, None].expand(-1, 3),
        "features": torch.zeros(len(states), 3, 2),
    }
    return {"p": {Columns.REWARDS: torch.tensor(rewards), Columns.OBS: observations}}


def advantages(
    piece: Advantages, columns: dict[str, Any], module: Any = None, lengths: list[int] | None = None
) -> list[float]:
    lengths = lengths or [1] * len(columns["p"][Columns.REWARDS])
    piece.single_agent_episode_iterator = lambda episodes, **_: iter(episodes)  # type: ignore[method-assign]
    out = piece(rl_module={"p": module}, episodes=[[0] * n for n in lengths], batch=columns)["p"]
    return out[Postprocessing.ADVANTAGES].tolist()


def test_none_keeps_the_returns():
    piece = Advantages(baseline="none", standardise=False)
    assert advantages(piece, batch([1.0, 3.0], [0, 1])) == [1.0, 3.0]


def test_moving_average():
    piece = Advantages(baseline="ema", decay=0.9, standardise=False)
    assert advantages(piece, batch([1.0, 3.0], [0, 1])) == [-1.0, 1.0]  # starts at the first mean, 2
    second = advantages(piece, batch([4.0, 8.0], [0, 1]))
    assert piece.average == pytest.approx(0.9 * 2 + 0.1 * 6)
    assert second == pytest.approx([4 - 2.4, 8 - 2.4])


def test_architecture_baseline_leaves_the_step_itself_out():
    piece = Advantages(baseline="architecture", standardise=False)
    got = advantages(piece, batch([1.0, 3.0, 5.0, 10.0], [7, 7, 7, 8]))
    assert got == [1.0 - 4.0, 3.0 - 3.0, 5.0 - 2.0, 10.0]  # alone in its group, a step keeps its return


def test_architecture_baseline_leaves_out_the_other_steps_of_an_episode():
    """Two episodes of two steps: A stays in state 0, then moves (0.2); B moves at once (0.2), then stays in state 1.

    Without `left` A's two steps and B's first are in state 0: each of A's is compared with B's alone.
    """
    piece = Advantages(baseline="architecture", standardise=False)
    columns = batch([0.0, 0.2, 0.2, 0.0], [0, 0, 0, 1])
    assert advantages(piece, columns, lengths=[2, 2]) == pytest.approx([0.0, 0.0, 0.0, 0.0])
    columns = batch([0.0, 0.5, 0.2, 0.0], [0, 0, 0, 1])
    assert advantages(piece, columns, lengths=[2, 2]) == pytest.approx([0.5 - 0.2, 0.5 - 0.2, 0.2 - 0.5, 0.0])


def test_states_with_other_numbers_of_transforms_left_are_others():
    piece = Advantages(baseline="architecture", standardise=False)
    columns = batch([0.1, 0.5, 0.2, 0.0], [0, 0, 0, 0])
    columns["p"][Columns.OBS]["left"] = torch.tensor([2, 1, 2, 1])
    assert advantages(piece, columns, lengths=[2, 2]) == pytest.approx([0.6 - 0.2, 0.5 - 0.0, 0.2 - 0.6, 0.0 - 0.5])


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(-1, 1)), min_size=1, max_size=20),
    lengths=st.lists(st.integers(1, 4), min_size=20, max_size=20),
    left=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_others_mean_equals_a_loop(steps, lengths, left):
    owner = [i for i, length in enumerate(lengths) for _ in range(length)][: len(steps)]
    states, returns = np.array([s for s, _ in steps]), np.array([r for _, r in steps])
    observations = {"ops": torch.tensor(states)[:, None], "features": torch.zeros(len(steps), 1)}
    if left:
        observations["left"] = torch.tensor([len(steps) - i for i in range(len(steps))]) % 2
        states = states * 2 + observations["left"].numpy()
    expected = []
    for i in range(len(steps)):
        others = [returns[j] for j in range(len(steps)) if owner[j] != owner[i] and states[j] == states[i]]
        expected.append(np.mean(others) if others else 0.0)
    got = others_mean(torch.tensor(returns), observations, [owner.count(i) for i in range(owner[-1] + 1)])
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_critic_scale_and_standardisation():
    module = SimpleNamespace(compute_values=lambda columns: torch.tensor([1.0, 2.0, 3.0]))
    piece = Advantages(baseline="critic", scale=10.0)
    columns = batch([0.1, 0.5, 0.9], [0, 1, 2])
    got = np.array(advantages(piece, columns, module))
    raw = np.array([1.0, 5.0, 9.0]) - [1.0, 2.0, 3.0]
    np.testing.assert_allclose(got, (raw - raw.mean()) / raw.std(), atol=1e-6)
    np.testing.assert_allclose(columns["p"][Postprocessing.VALUE_TARGETS].numpy(), [1.0, 5.0, 9.0], rtol=1e-6)


def test_unknown_baseline_is_refused():
    with pytest.raises(ValueError, match="unknown baseline 'mean'; known: none, ema, architecture, critic"):
        Advantages(baseline="mean")  # type: ignore[arg-type]
