"""What the environments show: text, pictures, a window. A picture takes 0.1 s."""

from __future__ import annotations

import gymnasium
import matplotlib
import numpy as np
import pytest
from gymnasium.wrappers import RenderCollection
from matplotlib import pyplot

import natrl
from natrl.drawing import architectures
from natrl.envs import ArchTransitionEnv, ArchTransitionSequentialEnv
from natrl.envs.viewer import HEIGHT, WIDTH
from tests.envs.checks import ByName


def transformed(render_mode: str) -> ArchTransitionEnv:
    """VGG after what the strict masks allow of its published transformation: convolutions have become separable."""
    env = ArchTransitionEnv(space="darts", evaluator=ByName(), render_mode=render_mode)
    env.reset(options={"architecture": natrl.parse("VGG")})
    env.step(np.array([env.core.space.primitives.index(op) for op in natrl.parse("NATv2_VGG").operations]))
    return env


def test_text_marks_changes() -> None:
    env = transformed("ansi")
    *slots, summary = env.render().splitlines()
    before, after = natrl.parse("VGG"), env._info()["architecture"]
    changes = before.changes(after)
    assert changes
    assert [i for i, line in enumerate(slots) if " → " in line] == list(changes)
    assert all(f"{before.operations[i]} → {after.operations[i]}" in slots[i] for i in changes)
    assert f"{len(changes)} slots changed" in summary


def test_pictures_mark_the_changed_operations(monkeypatch) -> None:
    """The figure is natrl.drawing's, from before to after; the frame is that figure, filled to a fixed size."""
    drawn = []

    def figure(after, **others):  # type: ignore[no-untyped-def]
        drawn.append((after, others))
        return whole(after, **others)

    whole = architectures.architecture_figure
    monkeypatch.setattr(architectures, "architecture_figure", figure)
    env = transformed("rgb_array")
    frame = env.render()
    assert (frame.shape, frame.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    ((after, others),) = drawn
    assert (others["before"], after) == (natrl.parse("VGG"), env._info()["architecture"])
    assert f"score {env._info()['initial_score']:.4f} → {env._info()['score']:.4f}" in others["title"]
    shown = (frame < 128).any(-1)
    assert 0.01 < shown.mean() < 0.3
    assert not shown[[0, -1]].any()  # nothing runs out of the frame
    assert not shown[:, [0, -1]].any()
    env.reset(options={"architecture": natrl.parse("VGG")})
    assert (env.render() != frame).any()


def test_frames_make_a_video() -> None:
    """All alike in size, whatever the topology and however many slots have changed."""
    env = RenderCollection(
        ArchTransitionSequentialEnv(space="nasbench201", evaluator=ByName(), render_mode="rgb_array")
    )
    env.reset(seed=0)
    for _ in range(2):
        env.step(int(np.flatnonzero(env.get_wrapper_attr("action_mask"))[-1]))
    frames = env.render()
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert len(frames) == 3


def test_a_window_follows_the_episode(display: list[float]) -> None:
    env = transformed("human")
    assert env.render() is None
    assert display == [1.0, 1.0]  # reset and step, at 1 frame a second
    np.testing.assert_array_equal(env._window.image.get_array(), transformed("rgb_array").render())
    assert pyplot.get_fignums()
    env.close()
    assert not pyplot.get_fignums()


def test_without_a_display_a_window_is_refused_in_one_line() -> None:
    matplotlib.use("agg")
    with pytest.raises(gymnasium.error.Error, match=r'needs a display, .* use render_mode="rgb_array"'):
        transformed("human")
