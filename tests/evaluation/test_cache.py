"""Scores are remembered for one version of the weights, and checked as they arrive."""

from __future__ import annotations

import numpy as np
import pytest

import natrl
from natrl.evaluation import CachedEvaluator, Evaluator, FailedEvaluations

DARTS, VGG = natrl.parse("DARTS"), natrl.parse("VGG")


class Counting(Evaluator):
    def __init__(self, value: float = 0.5) -> None:
        self.value = value
        self.asked: list[list[str]] = []

    def evaluate(self, architectures):
        self.asked.append([a.key for a in architectures])
        return np.full(len(architectures), self.value)

    def train_weights(self, steps):
        self.version += 1
        return {"loss": 1.0}


def test_each_architecture_is_passed_on_once_a_version():
    inner = Counting()
    cache = CachedEvaluator(inner)
    np.testing.assert_array_equal(cache.evaluate([DARTS, VGG, DARTS]), [0.5, 0.5, 0.5])
    cache.evaluate([VGG])
    assert inner.asked == [[DARTS.key, VGG.key]]
    assert (cache.evaluations, cache.hits, cache.seen) == (2, 2, 2)
    assert cache.train_weights(1) == {"loss": 1.0}
    assert cache.seen == 0
    inner.value = 0.6
    np.testing.assert_array_equal(cache.evaluate([VGG]), [0.6])
    assert cache.evaluations == 3


@pytest.mark.parametrize(
    ("metric", "value"), [("accuracy", np.nan), ("accuracy", 1.2), ("accuracy", -0.1), ("cross_entropy", 0.3)]
)
def test_impossible_scores_are_refused_and_not_remembered(metric, value):
    inner = Counting(value)
    inner.metric = metric
    cache = CachedEvaluator(inner)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"evaluator returned {value} as {metric} of architecture"):
            cache.evaluate([DARTS])
    assert len(inner.asked) == 2


def test_state_goes_on():
    cache = CachedEvaluator(Counting())
    cache.evaluate([DARTS])
    other = CachedEvaluator(Counting())
    other.load_state_dict(cache.state_dict())
    assert other.evaluations == 1
    np.testing.assert_array_equal(other.evaluate([DARTS]), [0.5])
    assert other.inner.asked == []  # nothing is paid for twice


def test_an_evaluator_without_shared_weights_says_so():
    class Plain(Evaluator):
        def evaluate(self, architectures):
            return np.zeros(len(architectures))

    with pytest.raises(ValueError, match="Plain has no shared weights to train"):
        Plain().train_weights(3)


def test_batches_are_remembered_by_number_as_lists_are_by_key():
    """The same counts, one version long, and not beyond a restored state."""
    home = natrl.space("nasbench201")
    rng = np.random.default_rng(0)
    batches = [home.samples(rng, 300).take(rng.integers(300, size=200)) for _ in range(3)]
    by_number, by_key = CachedEvaluator(Counting()), CachedEvaluator(Counting())
    for batch in [*batches, batches[0]]:
        np.testing.assert_array_equal(by_number.evaluate(batch), by_key.evaluate(list(batch)))
        assert by_number.evaluations == by_key.evaluations > 0
        assert by_number.hits == by_key.hits > 0
    assert by_number.inner.asked == by_key.inner.asked[: len(by_number.inner.asked)]
    state = by_number.state_dict()
    by_number.train_weights(1)
    by_number.inner.value = 0.6
    np.testing.assert_array_equal(by_number.evaluate(batches[0]), np.full(200, 0.6))
    by_number.load_state_dict(state)
    assert by_number.evaluate(batches[0])[0] == 0.5


def test_spaces_with_other_primitives_do_not_share_numbers():
    class Named(Counting):
        def evaluate(self, architectures):
            return np.array([sum(map(len, a.operations)) / 100 for a in architectures])

    class Turned(type(natrl.space("nasbench201"))):
        primitives = natrl.space("nasbench201").primitives[::-1]

    cache = CachedEvaluator(Named())
    for home in (natrl.space("nasbench201"), Turned()):
        batch = home.samples(np.random.default_rng(0), 50)
        np.testing.assert_array_equal(cache.evaluate(batch), Named().evaluate(list(batch)))


def test_failures_are_skipped_by_number_as_by_key():
    """Known and failed ones in one request: the failed ones, eight and more, are not all of it."""

    class Fragile(Counting):
        def evaluate(self, architectures):
            super().evaluate(architectures)
            failed = [a.operations[0] == "null" for a in architectures]
            reasons = {a.key: "diverged" for a, bad in zip(architectures, failed, strict=True) if bad}
            scores = np.where(failed, np.nan, 0.5)
            if reasons:
                raise FailedEvaluations(reasons, scores)
            return scores

    batch = natrl.space("nasbench201").samples(np.random.default_rng(0), 200)
    by_number = CachedEvaluator(Fragile(), on_failure="skip")
    by_key = CachedEvaluator(Fragile(), on_failure="skip")
    for _ in range(2):
        np.testing.assert_array_equal(by_number.evaluate(batch), by_key.evaluate(list(batch)))
        assert by_number.statistics() == by_key.statistics()
    assert 8 < by_number.failed < 200
    assert len(by_number.inner.asked) == 1  # failed ones are not tried again
    failed = batch.take(np.flatnonzero(np.isnan(by_number.evaluate(batch))))
    for evaluator, request in ((by_number, failed), (by_key, list(failed))):
        with pytest.raises(FailedEvaluations, match="diverged"):
            evaluator.evaluate(request)
