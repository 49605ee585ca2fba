"""The tasks with names: each through the shared checker, from starts that none of the others has."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import natrl
from natrl.core.isomorphism import held_out
from natrl.envs import ArchTransitionEnv
from natrl.envs.tasks import TASKS
from tests.envs.checks import assert_same, ByName, check_promise, rollout

IDS = [env_id for task in TASKS for env_id in task.ids()]


def made(env_id: str) -> gymnasium.Env:
    """Scored by name where the task's own evaluator takes a file."""
    of_file = "NASBench301" in env_id
    return gymnasium.make(env_id, **({"evaluator": ByName()} if of_file else {})).unwrapped


@pytest.mark.filterwarnings("ignore:.*Box.*(precision|infinity|maximum value|minimum value).*")
@pytest.mark.parametrize("env_id", IDS)
def test_each_keeps_its_promise_and_repeats(env_id: str) -> None:
    env = made(env_id)
    check_env(env, skip_render_check=True)
    seen = rollout(env, seed=1, steps=40)
    check_promise(seen, env)
    assert_same(seen, rollout(made(env_id), seed=1, steps=40))
    starts = {info["initial_architecture"] for *_, info in seen}
    assert {held_out(a) for a in starts} == {"-HeldOut-" in env_id}
    assert env.spec is None or env.spec.id == env_id


@pytest.mark.parametrize("env_id", IDS[:8])
def test_each_has_a_vector_form(env_id: str) -> None:
    vector = gymnasium.make_vec(env_id, num_envs=4, vectorization_mode="vector_entry_point")
    observations, info = vector.reset(seed=0)
    assert vector.observation_space.contains(observations)
    assert {held_out(a) for a in info["initial_architecture"]} == {"-HeldOut-" in env_id}


def test_it_is_made_by_its_module_and_name() -> None:
    env = gymnasium.make("natrl.envs:natrl/NASBench201-CIFAR100-HeldOut-v0")
    _, info = env.reset(seed=0)
    (score,) = natrl.evaluation.load_table("nasbench201:cifar100").evaluate([info["architecture"]])
    assert info["score"] == score


def test_starts_of_a_space_that_cannot_be_listed() -> None:
    """Those of the two parts together are distributed as the space's own."""
    for initial, share in (("training", 0.0), ("held-out", 1.0)):
        env = ArchTransitionEnv(space="darts", evaluator=ByName(), initial=initial)
        drawn = env.core.draw(np.random.default_rng(0), 20)
        assert np.mean([held_out(a) for a in drawn]) == share


def test_the_surrogate_of_nasbench301_is_an_evaluator(natrl_data) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("onnx")
    file = natrl_data / "nasbench301_yahpo.onnx"
    env = gymnasium.make("natrl/NASBench301-HeldOut-v0", evaluator=f"nasbench301:{file}")
    _, info = env.reset(options={"architecture": natrl.parse("DARTS")})
    assert 0.93 < info["score"] < 0.96
    with pytest.raises(ValueError, match="knows no conv_5x5, which space 'darts' has: its space is 'darts301'"):
        gymnasium.make("natrl/ArchTransition-v0", space="darts", evaluator=f"nasbench301:{file}")


def test_a_file_that_is_not_there_is_said(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError), match=r"nasbench301_yahpo\.onnx"):
        gymnasium.make("natrl/NASBench301-v0")
