"""Joint and sequential environments, all spaces, through one checker."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import natrl
from natrl.envs import ArchTransitionEnv, ArchTransitionSequentialEnv
from natrl.envs.initial import seeded
from natrl.evaluation import TableEvaluator
from tests.envs.checks import assert_same, ByName, check_promise, rollout

JOINT, SEQUENTIAL = "natrl/ArchTransition-v0", "natrl/ArchTransitionSequential-v0"
IDS = (JOINT, SEQUENTIAL)
SPACES = ("darts", "enas", "nao", "nasbench201")


def make(env_id: str, **arguments):  # type: ignore[no-untyped-def]
    return gymnasium.make(env_id, **{"space": "darts", "evaluator": ByName(), **arguments}).unwrapped


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_checker_passes_without_a_warning(env_id, space):
    check_env(make(env_id, space=space), skip_render_check=space != "nasbench201")


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_checker_passes_on_a_machine_without_a_display(env_id, monkeypatch):
    """Such a machine shows no windows, and says so."""
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    env = make(env_id, space="nasbench201", horizon=2)
    check_env(env)
    assert env.metadata["render_modes"] == ["ansi", "rgb_array"]


@pytest.mark.parametrize("cost", ["strict", "live"])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("env_id", IDS)
def test_promise_holds_along_masked_rollouts(env_id, space, cost):
    env = make(env_id, space=space, cost=cost, horizon=3)
    seen = rollout(env, seed=3, steps=60)
    check_promise(seen, env)
    assert any(info["architecture"] != info["initial_architecture"] for *_, info in seen)


@pytest.mark.parametrize("env_id", IDS)
def test_seeded_rollouts_repeat_exactly(env_id):
    assert_same(rollout(make(env_id), 5, 40), rollout(make(env_id), 5, 40))
    first, other = rollout(make(env_id), 5, 1), rollout(make(env_id), 6, 1)
    assert first[0][3]["architecture"] != other[0][3]["architecture"]


@pytest.mark.parametrize("horizon", [1, 3])
def test_reward_is_the_gain_in_score(horizon):
    env = make(JOINT, horizon=horizon)
    _, info = env.reset(seed=0)
    for step in range(horizon):
        before = info["score"]
        action = np.where(info["action_mask"], np.random.default_rng(step).random(info["action_mask"].shape), -1)
        _, reward, ended, _, info = env.step(action.argmax(-1))
        assert reward == pytest.approx(info["score"] - before)
        assert info["score"] == ByName().evaluate([info["architecture"]])[0]
        assert ended == (step == horizon - 1)


def test_sequential_environment_pays_with_the_last_slot():
    env = make(SEQUENTIAL)
    _, info = env.reset(seed=1)
    slots = env.core.space.n_slots
    for slot in range(slots):
        observation, reward, ended, _, info = env.step(int(np.argmax(info["action_mask"])))
        assert ended == (slot == slots - 1)
        if not ended:
            assert reward == 0
            assert observation["slot"] == slot + 1
    assert reward == pytest.approx(info["score"] - info["initial_score"])


def test_both_environments_reach_the_same_states():
    """A masked choice in every slot leads to the same architecture at once and slot by slot."""
    start = natrl.parse("VGG")
    sequential, joint = make(SEQUENTIAL), make(JOINT)
    rng = np.random.default_rng(0)
    for _ in range(20):
        _, info = sequential.reset(options={"architecture": start})
        actions, ended = [], False
        while not ended:
            actions.append(int(rng.choice(np.flatnonzero(info["action_mask"]))))
            _, reward, ended, _, info = sequential.step(actions[-1])
        joint.reset(options={"architecture": start})
        _, joint_reward, *_, joint_info = joint.step(np.array(actions))
        assert joint_info["architecture"] == info["architecture"]
        assert joint_info["repaired"] == 0
        assert joint_reward == reward


def test_actions_outside_the_mask_keep_the_operation_and_count():
    env = make(JOINT)
    _, info = env.reset(options={"architecture": natrl.parse("VGG")})
    worst = np.argmin(info["action_mask"], axis=-1)  # a forbidden primitive wherever there is one
    forbidden = int((~info["action_mask"][np.arange(16), worst]).sum())
    assert forbidden > 0
    *_, info = env.step(worst)
    assert info["invalid_actions"] == forbidden
    strict = make(JOINT, invalid_action="raise")
    strict.reset(options={"architecture": natrl.parse("VGG")})
    with pytest.raises(ValueError, match="outside the action mask"):
        strict.step(worst)


def test_sequential_environment_counts_and_refuses_invalid_choices():
    env = make(SEQUENTIAL)
    _, info = env.reset(options={"architecture": natrl.parse("VGG")})
    kept = info["architecture"].operations[0]
    _, _, _, _, info = env.step(int(np.argmin(info["action_mask"])))
    assert info["invalid_actions"] == 1
    assert info["architecture"].operations[0] == kept
    strict = make(SEQUENTIAL, invalid_action="raise")
    _, info = strict.reset(options={"architecture": natrl.parse("VGG")})
    with pytest.raises(ValueError, match="outside the action mask"):
        strict.step(int(np.argmin(info["action_mask"])))


def test_joint_action_that_cuts_the_network_is_repaired():
    env = make(JOINT)
    env.reset(options={"architecture": natrl.parse("VGG")})
    null = env.core.space.primitives.index("null")
    _, _, _, _, info = env.step(np.full(16, null))
    assert info["architecture"].is_live
    assert info["repaired"] >= 8  # VGG is a chain of four slots in each cell: all of them must stay
    assert info["invalid_actions"] == 0


def test_action_masks_are_the_mask_of_the_state():
    env = make(JOINT)
    observation, info = env.reset(seed=0)
    np.testing.assert_array_equal(env.action_masks(), observation["action_mask"].ravel().astype(bool))
    env = make(SEQUENTIAL)
    observation, info = env.reset(seed=0)
    np.testing.assert_array_equal(env.action_masks(), info["action_mask"])


def test_each_architecture_is_evaluated_once():
    evaluator = ByName()
    env = make(JOINT, evaluator=evaluator)
    for _ in range(3):
        env.reset(options={"architecture": natrl.parse("DARTS")})
        env.step(np.array([env.core.space.primitives.index(op) for op in natrl.parse("DARTS").operations]))
    assert evaluator.calls == 1


def test_rewards_are_clipped():
    env = make(JOINT, reward_clip=0.01)
    rewards = [reward for _, reward, _, _ in rollout(env, 0, 30)]
    assert max(map(abs, rewards)) == pytest.approx(0.01)


def test_pool_repeats_its_architectures_and_only_those():
    env = make(JOINT, initial="pool:3")
    starts = {env.reset(seed=i)[1]["architecture"] for i in range(40)}
    assert len(starts) == 3


def test_a_pool_is_that_of_its_own_seed_whatever_the_environment_is_reset_with():
    """In every process, and after every reset with the same seed, as RLlib does it."""

    def starts(initial, seeds):  # type: ignore[no-untyped-def]
        env = make(JOINT, initial=initial)
        return {env.reset(seed=seed)[1]["architecture"] for seed in seeds}

    pool = starts("pool:3:7", range(40))
    assert pool == starts("pool:3:7", range(100, 140))
    assert pool.isdisjoint(starts("pool:3:8", range(40)))
    assert starts("pool:3", range(40)) == starts("pool:3:201", range(40))
    assert starts("pool:3:7", [5, 5, 5]) < pool
    assert (seeded("pool:3", 7), seeded("pool:3:8", 7), seeded("uniform", 7)) == ("pool:3:7", "pool:3:8", "uniform")


@pytest.mark.parametrize("env_id", IDS)
def test_observations_say_how_many_transforms_are_left(env_id):
    """Without it the same state would be worth more or less for no reason; one transform needs no saying."""
    assert "left" not in make(env_id).reset(seed=0)[0]
    env = make(env_id, horizon=3)
    seen = rollout(env, seed=0, steps=4 if env_id == JOINT else 3 * env.core.space.n_slots)
    left = [int(observation["left"]) for observation, *_ in seen]
    each = 1 if env_id == JOINT else env.core.space.n_slots
    assert left[: 3 * each + 1] == [3] * each + [2] * each + [1] * each + [0]
    assert all(env.observation_space.contains(observation) for observation, *_ in seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": "dart"}, "unknown space 'dart'; known: darts"),
        ({"rule": "nat3"}, "unknown rule 'nat3'; known: nat, nat\\+\\+"),
        ({"evaluator": "supernet"}, "reward 'supernet' needs 'data', which is no setting here"),
        ({"initial": "pool:0"}, "unknown initial 'pool:0'"),
        ({"initial": "pool:3:x"}, "unknown initial 'pool:3:x'"),
        ({"initial": "pool:99999999"}, "pool of initial architectures must be at most 1,000,000"),
        ({"initial": []}, "at least one architecture"),
        ({"initial": [natrl.parse("ENAS")]}, "has 16 slots, this architecture has 20"),
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"reward_clip": 0.0}, "reward_clip must be above 0"),
        ({"invalid_action": "ignore"}, "unknown invalid_action 'ignore'; known: keep, raise"),
        ({"render_mode": "ascii"}, "unknown render_mode 'ascii'; known: ansi, rgb_array, human"),
    ],
)
def test_bad_arguments_say_what_would_be_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        ArchTransitionEnv(**{"space": "darts", "evaluator": ByName(), **arguments})


def test_bad_scores_name_the_architecture():
    architecture = natrl.parse("DARTS")

    class Broken(ByName):
        def evaluate(self, architectures):
            return np.full(len(architectures), np.nan)

    env = ArchTransitionSequentialEnv(space="darts", evaluator=Broken())
    with pytest.raises(ValueError, match="nan as accuracy of architecture") as raised:
        env.reset(options={"architecture": architecture})
    assert architecture.key in str(raised.value)


def test_unknown_cost_mode_is_refused():
    with pytest.raises(ValueError, match="unknown cost mode 'cheap'; known: strict, rule, live"):
        ArchTransitionEnv(space="darts", evaluator=ByName(), cost="cheap")  # type: ignore[arg-type]


def test_step_before_reset_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded):
        ArchTransitionEnv(space="darts", evaluator=ByName()).step(np.zeros(16, dtype=int))


def test_table_environment_by_name():
    env = gymnasium.make(JOINT).unwrapped
    assert isinstance(env.core.evaluator.inner, TableEvaluator)
    assert len(env.core.evaluator.inner) == 15_625
