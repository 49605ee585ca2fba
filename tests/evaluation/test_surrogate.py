"""The surrogate on a made-up table: what it pays for, what it learns, and that it goes on after a restore."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from scipy.stats import spearmanr

import natrl
from natrl.core.isomorphism import function_key
from natrl.envs import ArchTransitionVectorEnv
from natrl.evaluation import CachedEvaluator, Evaluator, load_table
from natrl.evaluation.base import FailedEvaluations
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.queries import LimitedEvaluator
from natrl.evaluation.surrogate.evaluator import rounds_every, ScoreRegressor, SurrogateEvaluator
from natrl.evaluation.surrogate.path_features import path_counts
from tests.bench.problems import made_up, SPACE

ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(400)]


def surrogate(queries: int = 60, every: int = 1) -> SurrogateEvaluator:
    return SurrogateEvaluator(LimitedEvaluator(made_up().evaluator(), queries), queries=queries, every=every)


def test_pays_no_more_than_its_queries_and_for_no_function_twice():
    """The budgeted evaluator inside would raise."""
    evaluator = surrogate(30)
    for i in range(20):
        evaluator.evaluate(ARCHS[20 * i : 20 * i + 20])
        evaluator.before_iteration()
    inner = evaluator.inner
    assert inner.evaluations == evaluator.paid == 30
    functions = [function_key(natrl.parse(key)) for key in inner.state_dict()["scores"]]
    assert len(set(functions)) == len(functions)


def test_first_call_pays_for_a_third_and_predictions_rank_what_was_not_paid_for():
    table = load_table("nasbench201")
    evaluator = SurrogateEvaluator(table, queries=300)
    scores = evaluator.evaluate(ARCHS)
    assert evaluator.paid == 100
    truth = table.evaluate(ARCHS)
    known = np.array([a in evaluator._paid for a in ARCHS])
    np.testing.assert_array_equal(scores[known], truth[known])
    assert spearmanr(scores[~known], truth[~known]).statistic > 0.75
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(evaluator.evaluate(ARCHS), scores)  # free, and the same


def test_rounds_raise_the_version_so_that_caches_forget():
    evaluator = surrogate()
    cache = CachedEvaluator(evaluator)
    cache.evaluate(ARCHS[:50])
    before = cache.evaluate(ARCHS[:100])
    version = cache.version
    cache.before_iteration()
    assert cache.version == version + 1
    assert cache.statistics()["evaluations"] == 24
    assert (cache.evaluate(ARCHS[:100]) != before).any()


def test_rounds_come_every_so_many_iterations():
    evaluator = surrogate(every=3)
    evaluator.before_iteration()
    assert evaluator.version == 0  # nothing is known yet
    evaluator.evaluate(ARCHS[:100])
    evaluator.evaluate(ARCHS)
    versions = []
    for _ in range(5):
        evaluator.before_iteration()
        versions.append(evaluator.version)
    assert versions == [1, 2, 2, 2, 2]  # the second call is the third iteration; then nothing new was proposed
    assert rounds_every(235) == 15
    assert rounds_every(5) == 1


def test_half_of_a_round_goes_to_what_the_policy_proposes_most_often():
    evaluator = surrogate()
    evaluator.evaluate(ARCHS)
    often = [a for a in ARCHS if function_key(a) not in {function_key(p) for p in evaluator._paid}][:2]
    evaluator.evaluate(ARCHS)
    evaluator.proposed(ARCHS)
    evaluator.proposed(often * 9)
    evaluator.before_iteration()
    assert all(a in evaluator._paid for a in often)


def test_a_policy_that_is_sure_leaves_queries_for_later():
    """Of two things that it proposes at most two are paid for, besides the half that the trees disagree about."""
    evaluator = surrogate(300)
    evaluator.evaluate(ARCHS)
    evaluator.evaluate(ARCHS)
    evaluator.proposed(ARCHS[:2] * 50)
    evaluator.before_iteration()
    assert 110 <= evaluator.paid <= 112


def test_behind_a_cache_what_the_environment_says_counts_and_not_what_is_looked_up():
    """Three iterations of a policy with a taste: the second half of the round are its results, the most frequent ones.

    The others of the round are those that the trees disagree about most, wherever they come from.
    """
    evaluator = SurrogateEvaluator(made_up().evaluator(), queries=300, every=9)
    env = ArchTransitionVectorEnv(64, evaluator=CachedEvaluator(evaluator))
    rng, results = np.random.default_rng(0), Counter()
    for iteration in range(3):
        evaluator.before_iteration()
        _, info = env.reset(seed=0 if iteration == 0 else None)
        chances = info["action_mask"] * rng.random(info["action_mask"].shape)
        chances[..., SPACE.primitives.index("skip_connect")] *= 2
        *_, info = env.step(chances.argmax(-1))
        results.update(map(function_key, info["architecture"]))
    paid = {function_key(a) for a in evaluator._paid}
    chosen = [function_key(a) for a in evaluator._round()]
    often = [results[key] for key in chosen[10:]]
    assert len(chosen) == 20
    left = [n for key, n in results.items() if key not in paid and key not in chosen[:10]]
    assert sorted(often, reverse=True) == often == sorted(left, reverse=True)[:10]
    assert often[0] > 1


def test_a_state_of_before_proposals_were_told_goes_on():
    first, second = surrogate(), surrogate()
    first.evaluate(ARCHS[:200])
    first.evaluate(ARCHS[200:])
    state = first.state_dict()
    second.load_state_dict(
        {name: value for name, value in state.items() if name != "asked"}
        | {"proposals": [[a, 1] for a in state["asked"]]}
    )
    assert first.state_dict() == second.state_dict()
    second.before_iteration()
    assert second.paid == 24


def test_goes_on_from_its_state_as_if_nothing_had_happened():
    first, second = surrogate(), surrogate()
    first.evaluate(ARCHS[:200])
    first.evaluate(ARCHS[150:250])
    first.proposed(ARCHS[150:250])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for evaluator in (first, second):
        evaluator.evaluate(ARCHS[200:])
        evaluator.proposed(ARCHS[300:])
        evaluator.before_iteration()
    assert (first.version, first.paid) == (second.version, second.paid)
    np.testing.assert_array_equal(first.evaluate(ARCHS), second.evaluate(ARCHS))


def test_regressor_of_cross_entropies_stays_at_or_below_zero():
    paths = [path_counts(a) for a in ARCHS[:50]]
    scores = -np.linspace(0.01, 3, 50)
    predicted, spread = ScoreRegressor("cross_entropy").fit(paths, scores).predict([path_counts(a) for a in ARCHS])
    assert ((predicted <= 0) & (predicted >= -3) & (spread >= 0)).all()


class Trained(Evaluator):
    def evaluate(self, architectures):  # type: ignore[no-untyped-def]
        return np.zeros(len(architectures))


def test_bad_settings():
    with pytest.raises(ValueError, match="at least 10 queries, got 9"):
        SurrogateEvaluator(Trained(), queries=9)
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        SurrogateEvaluator(Trained(), queries=10, every=0)
    with pytest.raises(ValueError, match="the reward of trained weights changes"):
        SurrogateEvaluator(Trained(), queries=10).train_weights(1)
    with pytest.raises(ValueError, match="scratch or a table, got supernet"):
        EvaluatorSpec(surrogate=100)
    with pytest.raises(ValueError, match="at least 10 queries, got 3"):
        EvaluatorSpec(reward="scratch", surrogate=3)


def test_a_failing_evaluation_is_named():
    class Broken(Trained):
        def evaluate(self, architectures):  # type: ignore[no-untyped-def]
            return np.full(len(architectures), np.nan)

    with pytest.raises(ValueError, match="evaluator returned nan as accuracy of architecture"):
        SurrogateEvaluator(Broken(), queries=10).evaluate(ARCHS[:20])


def test_an_evaluation_that_fails_costs_a_query_and_no_more():
    class Poisoned(Trained):
        def evaluate(self, architectures):  # type: ignore[no-untyped-def]
            bad = architectures[0]
            scores = made_up().evaluator().evaluate(architectures)
            scores[0] = np.nan
            raise FailedEvaluations({bad.key: "diverged"}, scores)

    evaluator = SurrogateEvaluator(Poisoned(), queries=60)
    scores = evaluator.evaluate(ARCHS)
    assert evaluator.paid == 20
    assert np.isfinite(scores).all()
