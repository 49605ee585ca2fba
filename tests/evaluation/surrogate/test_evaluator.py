"""The surrogate on a made-up table: what it pays for, what it learns, and that it goes on after a restore."""

from __future__ import annotations

import json

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
from natrl.evaluation.surrogate.evaluator import rounds_every, SurrogateEvaluator
from tests.bench.problems import made_up, SPACE

ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(400)]


def surrogate(queries: int = 60, every: int = 1) -> SurrogateEvaluator:
    return SurrogateEvaluator(LimitedEvaluator(made_up().evaluator(), queries), queries=queries, every=every)


def test_pays_no_more_than_its_queries_and_for_no_function_twice():
    """The budgeted evaluator inside would raise."""
    evaluator = surrogate(30, every=2)
    for i in range(20):
        evaluator.evaluate(ARCHS[20 * i : 20 * i + 20])
        evaluator.before_iteration()
    inner = evaluator.inner
    assert inner.evaluations == evaluator.paid == 30
    functions = [function_key(natrl.parse(key)) for key in inner.state_dict()["scores"]]
    assert len(set(functions)) == len(functions)


def test_first_call_pays_for_a_sixth_and_predictions_rank_what_was_not_paid_for():
    table = load_table("nasbench201")
    evaluator = SurrogateEvaluator(table, queries=600)
    scores = evaluator.evaluate(ARCHS)
    assert evaluator.paid == 100
    known = np.array([a in evaluator._paid for a in ARCHS])
    assert spearmanr(scores[~known], table.evaluate(ARCHS)[~known]).statistic > 0.75
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(evaluator.evaluate(ARCHS), scores)  # free, and the same


def test_what_was_paid_for_is_no_longer_given_back_with_its_noise():
    """Lucky ones would be what a policy learns to make."""
    rng = np.random.default_rng(0)
    luck = {a: rng.normal(0, 0.05) for a in ARCHS}

    truth = {a: 0.4 + 0.02 * a.operations.count("conv_3x3") for a in ARCHS}

    class Lucky(Evaluator):
        def evaluate(self, architectures):  # type: ignore[no-untyped-def]
            return np.array([truth[a] + luck[a] for a in architectures])

    evaluator = SurrogateEvaluator(Lucky(), queries=1200)
    evaluator.evaluate(ARCHS)
    paid = list(evaluator._paid)
    assert len(paid) == 200
    errors = evaluator.evaluate(paid) - [truth[a] for a in paid]
    assert np.std(errors) < 0.5 * np.std([luck[a] for a in paid])


def test_rounds_raise_the_version_so_that_caches_forget():
    evaluator = surrogate()
    cache = CachedEvaluator(evaluator)
    cache.evaluate(ARCHS[:50])
    before = cache.evaluate(ARCHS[:100])
    version = cache.version
    cache.before_iteration()
    assert cache.version == version + 1
    statistics = cache.statistics()
    assert statistics["evaluations"] == 10 + 7  # a sixth of 60, and a sixth of the two thirds after the opening
    assert statistics.keys() >= {"model_spearman", "model_r2", "model_error", "model_noise", "round_predicted"}
    assert (cache.evaluate(ARCHS[:100]) != before).any()


def test_the_opening_is_spent_at_once_and_rounds_come_every_so_many_iterations():
    evaluator = surrogate(every=3)
    evaluator.before_iteration()
    assert evaluator.version == 0  # nothing is known yet
    evaluator.evaluate(ARCHS[:100])
    paid = [evaluator.paid]
    for i in range(8):
        evaluator.proposed(ARCHS[50 * i : 50 * i + 50])
        evaluator.before_iteration()
        paid.append(evaluator.paid)
    assert paid == [10, 20, 27, 27, 27, 34, 34, 34, 41]
    assert evaluator.version == 5
    assert rounds_every(120) == 13
    assert rounds_every(5) == 1


def test_a_round_goes_to_what_the_policy_proposes_and_never_to_originals():
    evaluator = SurrogateEvaluator(made_up().evaluator(), queries=300, every=9)
    env = ArchTransitionVectorEnv(64, evaluator=CachedEvaluator(evaluator))
    rng, results = np.random.default_rng(0), set()
    for iteration in range(4):
        _, info = env.reset(seed=0 if iteration == 0 else None)
        if iteration == 0:
            originals = set(evaluator._paid)
        *_, info = env.step((info["action_mask"] * rng.random(info["action_mask"].shape)).argmax(-1))
        results.update(info["architecture"])
        evaluator.before_iteration()
    assert evaluator.paid == 100
    assert evaluator._paid.keys() - originals <= results


def test_what_is_proposed_often_and_what_is_not_known_come_sooner():
    evaluator = surrogate(300)
    evaluator.evaluate(ARCHS)
    evaluator.proposed(ARCHS)
    new = [a for a in ARCHS if function_key(a) not in {function_key(p) for p in evaluator._paid}]
    evaluator.proposed(new[:1] * 9999)
    assert next(evaluator._drawn(np.random.default_rng(0))) == new[0]
    looked = list(evaluator._drawn(np.random.default_rng([0, 1])))[:200]
    deviations = dict(zip(looked, evaluator._model.standard(looked)[1], strict=True))
    chosen = evaluator._chosen(50)
    assert np.mean([deviations[a] for a in chosen]) > np.mean(list(deviations.values()))


def test_a_policy_that_is_sure_leaves_queries_for_later():
    evaluator = surrogate(300)
    evaluator.evaluate(ARCHS)
    evaluator.proposed(ARCHS[:2] * 50)
    evaluator.before_iteration()
    assert 50 <= evaluator.paid <= 52


def test_one_architecture_is_enough_to_begin_with():
    """A user's network is the only original."""
    evaluator = surrogate(60)
    assert len(set(evaluator.evaluate(ARCHS[:1] * 8).tolist())) == 1
    assert evaluator.paid == 1
    evaluator.proposed(ARCHS[:100])
    evaluator.before_iteration()
    assert evaluator.paid == 20
    assert len(set(evaluator.evaluate(ARCHS).tolist())) > 50


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
    assert evaluator.paid == 10
    assert np.isfinite(scores).all()
