"""PPO and REINFORCE learn, repeat exactly, and go on after a restore. A training here takes 5 to 15 seconds."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from natrl.evaluation import Evaluator, FailedEvaluations
from natrl.rllib.learners import OneStepPPOLearner, REINFORCELearner
from natrl.rllib.settings import LearnSettings
from tests.rllib.problems import best_reward, config, greedy_reward, limit_of, SPACE, starts, table, worth

pytestmark = pytest.mark.usefixtures("ray_session")
ALGORITHMS = ("ppo", "reinforce")
MANY = {"ppo": 40, "reinforce": 80}  # iterations, to learn what to do with every budget


def trained(algorithm: str, iterations: int | None = None, **changes: Any) -> tuple[Any, list[dict[str, Any]]]:
    settings = config(algorithm, **changes)
    algo = settings.build_algo()
    steps = settings.lr[1][0] // settings.train_batch_size_per_learner
    return algo, [algo.train() for _ in range(iterations or steps)]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_reaches_the_best_reward_of_a_tiny_table(algorithm, seed, tmp_path):
    algo, _ = trained(algorithm, seed=seed)
    assert greedy_reward(algo) >= 0.95 * best_reward()
    if seed == 0:  # another run begins with what this one has learned
        algo.policy().save(tmp_path)
        again = config(algorithm, start=tmp_path).build_algo()
        assert greedy_reward(again) == greedy_reward(algo)
        again.stop()
    algo.stop()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_policy_is_near_the_best_within_every_budget(algorithm):
    algo = config(algorithm, budgets=("madds",), iterations=MANY[algorithm]).build_algo()
    for _ in range(MANY[algorithm]):
        algo.train()
    policy = algo.policy()
    for share in (0.25, 0.5, 0.75, 1.0):
        answers = [policy.transform(a, n=1, max_madds=limit_of(a, share)).best for a in starts()]
        gained = np.mean([worth(a) - worth(b) for a, b in zip(answers, starts(), strict=True)])
        assert all(SPACE.cost(a).madds <= limit_of(b, share) for a, b in zip(answers, starts(), strict=True))
        assert gained >= best_reward(share) - 0.02, share
    algo.stop()


def numbers(results: list[dict[str, Any]]) -> list[list[float]]:
    names = ("reward_mean", "accuracy_mean", "entropy", "cost_ratio", "evaluations", "policy_loss")
    return [[float(result[name]) for name in names] for result in results]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_twice_is_equal_and_another_seed_is_not(algorithm):
    first, second, other = (trained(algorithm, 4, seed=seed) for seed in (3, 3, 4))
    assert numbers(first[1]) == numbers(second[1])
    assert numbers(first[1]) != numbers(other[1])
    for algo, _ in (first, second, other):
        algo.stop()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_goes_on_from_a_checkpoint_as_if_nothing_had_happened(algorithm, tmp_path):
    baseline = {"baseline": "ema"} if algorithm == "reinforce" else {}
    whole, undisturbed = trained(algorithm, 6, **baseline)
    first, _ = trained(algorithm, 3, **baseline)
    first.save_checkpoint(str(tmp_path))
    first.stop()
    second = config(algorithm, **baseline).build_algo()
    second.load_checkpoint(str(tmp_path))
    assert numbers([second.train() for _ in range(3)]) == numbers(undisturbed[3:])
    for algo in (whole, second):
        algo.stop()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_transforms_an_episode_are_told_apart(algorithm):
    """The policy sees how many are left, learns from it, and its episodes are whole."""
    algo, results = trained(algorithm, 3, horizon=2, batch_size=16, minibatch_size=16)
    network = algo.policy().network
    assert network.config.horizon == 2
    assert network.encoder.embedding.left.abs().max() > 0
    assert algo.environment._episodes.transforms == 2
    assert np.isfinite([r[name] for r in results for name in ("reward_mean", "policy_loss")]).all()
    algo.stop()


def test_initial_architectures_differ_from_iteration_to_iteration():
    settings = config("ppo")
    settings.env_config["initial"] = "uniform"
    algo = settings.build_algo()
    seen = []
    for _ in range(3):
        algo.train()
        seen.append(tuple(a.key for a in algo.environment._episodes.initial))
    assert len(set(seen)) == 3
    assert len(set(seen[0])) > 50
    algo.stop()


@pytest.mark.parametrize(("algorithm", "learner"), [("ppo", OneStepPPOLearner), ("reinforce", REINFORCELearner)])
def test_no_phantom_rows_reach_the_loss(algorithm, learner, monkeypatch):
    rows: list[int] = []
    whole = learner.compute_loss_for_module

    def counting(self, *, batch, **kwargs):
        rows.append(len(batch["rewards"]))
        assert "loss_mask" not in batch or batch["loss_mask"].all()
        return whole(self, batch=batch, **kwargs)

    monkeypatch.setattr(learner, "compute_loss_for_module", counting)
    algo, _ = trained(algorithm, 1)
    assert rows == ([32] * 8 if algorithm == "ppo" else [64])  # 64 episodes: 4 epochs of two halves, or once
    algo.stop()


def test_groups_of_transforms_share_their_initial_architecture():
    algo, _ = trained("reinforce", 1)
    keys = np.array([a.key for a in algo.environment._episodes.initial]).reshape(-1, 8)
    assert (keys == keys[:, :1]).all()
    assert len(set(keys[:, 0])) > 1
    algo.stop()


class Fragile(Evaluator):
    """The tiny table, but architectures whose first operation is among some cannot be evaluated."""

    def __init__(self, *poison: str) -> None:
        self.poison = poison

    def evaluate(self, architectures):
        scores = table().evaluate(architectures)
        bad = {a.key: "failed 3 times: no memory" for a in architectures if a.operations[0] in self.poison}
        if bad:
            raise FailedEvaluations(bad, np.where([a.key in bad for a in architectures], np.nan, scores))
        return scores


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_architectures_that_cannot_be_evaluated_earn_the_least_and_the_run_goes_on(algorithm):
    settings = config(algorithm)
    del settings.env_config["evaluator"]
    poison = starts()[0].operations[0]  # of an initial architecture, and of what others become
    settings.env_config["build_evaluator"] = partial(Fragile, poison)
    algo = settings.build_algo()
    results = [algo.train() for _ in range(3)]
    for result in results:
        assert np.isfinite([result[name] for name in ("reward_mean", "accuracy_mean", "policy_loss")]).all()
    assert 0 < results[-1]["failed"] < results[-1]["evaluations"]
    environment = algo.environment
    initial = [starts()[0]] * 32 + [starts()[1]] * 32
    environment.reset(options={"architecture": initial})
    actions = np.array([[SPACE.primitives.index(op) for op in a.operations] for a in initial])
    _, rewards, *_ = environment.step(actions)
    assert np.isnan(environment._episodes.scores).all()
    assert rewards.tolist() == [environment.core.lowest_reward] * 64
    assert environment.core.lowest_reward < 0
    algo.stop()


def test_an_evaluator_that_fails_for_all_ends_the_run():
    settings = config("ppo")
    del settings.env_config["evaluator"]
    settings.env_config["build_evaluator"] = partial(Fragile, *SPACE.primitives)
    algo = settings.build_algo()
    with pytest.raises(FailedEvaluations, match="failed 3 times: no memory"):
        algo.train()
    algo.stop()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "dqn"}, "unknown algorithm 'dqn'; known: ppo, reinforce"),
        ({"baseline": "mean"}, "unknown baseline 'mean'; known: none, ema, architecture, critic"),
        ({"algorithm": "reinforce", "baseline": "critic"}, "belongs to ppo"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"entropy": -1.0}, "entropy must be at least 0"),
        ({"batch_size": 10, "minibatch_size": 5, "group_size": 3}, "must be a multiple of group_size"),
        ({"batch_size": 10, "minibatch_size": 20}, "must not exceed batch_size"),
    ],
)
def test_bad_settings_say_what_would_be_right(changes, message):
    with pytest.raises(ValueError, match=message):
        LearnSettings(**changes)
