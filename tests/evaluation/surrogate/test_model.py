"""Features, variances, regressors and their mixture, on made-up scores whose parts are known."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest

import natrl
from natrl.evaluation.surrogate.indicators import GROUPS, Indicators
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.evaluation.surrogate.regressors import IndicatorRegressor, REGRESSORS, TransferredRegressor
from natrl.evaluation.surrogate.variances import variance_components
from natrl.spaces import Batch

DARTS, CELL = natrl.space("darts"), natrl.space("nasbench201")


def drawn(space, n, seed=0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


@pytest.mark.parametrize("space", [DARTS, CELL], ids=lambda s: s.name)
def test_every_slot_counts_once_in_each_group_and_batches_as_architectures_do(space):  # type: ignore[no-untyped-def]
    architectures = drawn(space, 20)
    indicators = Indicators(architectures)
    counts = indicators.counts(architectures)
    for g in range(len(GROUPS)):
        assert (counts[:, indicators.group == g].sum(1) == space.n_slots).all()
    np.testing.assert_array_equal(indicators.counts(Batch.of(space, architectures)), counts)


def test_operations_are_counted_by_cell():
    """The first group, against a count by hand."""
    architectures = drawn(DARTS, 30)
    indicators = Indicators(architectures)
    counts = indicators.counts(architectures)[:, indicators.group == 0]
    for row, a in zip(counts, architectures, strict=True):
        by_hand = Counter((slot.cell, op) for slot, op in zip(a.slots, a.operations, strict=True))
        assert sorted(row[row > 0]) == sorted(by_hand.values())


def test_what_was_not_seen_is_left_out():
    first, *others = drawn(DARTS, 5)
    indicators = Indicators([first])
    assert indicators.counts([first]).all()
    assert (indicators.counts(others).sum(1) < indicators.counts([first]).sum()).all()


def test_variances_are_those_that_targets_were_drawn_with():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 40))
    targets = rows @ rng.normal(0, 0.5, 40) + rng.normal(0, 2.0, 400)
    kernel, useless, noise = variance_components([rows @ rows.T, np.ones((400, 400)), np.eye(400)], targets)
    assert kernel == pytest.approx(0.25, rel=0.5)
    assert noise == pytest.approx(4, rel=0.3)
    assert useless < 0.5


def test_steps_raise_the_likelihood_and_an_empty_part_has_no_variance():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 5))
    targets = rows @ rng.normal(size=5) + rng.normal(size=60)
    assert variance_components([rows @ rows.T, np.zeros((60, 60)), np.eye(60)], targets)[1] == 0


def test_predictions_without_an_architectures_own_score_are_those_of_a_model_without_it():
    """The closed form against a fit of the same variances that leaves one out."""
    architectures = drawn(CELL, 60)
    targets = np.random.default_rng(0).normal(size=60)
    targets += [a.operations.count("conv_3x3") for a in architectures]
    whole = IndicatorRegressor(architectures, (targets - targets.mean()) / targets.std())
    standard = (targets - targets.mean()) / targets.std()
    others = IndicatorRegressor(architectures[1:], standard[1:])
    assert whole.out_of_fold[0] == pytest.approx(others.predict(architectures[:1])[0][0], abs=0.15)
    assert abs(whole.out_of_fold[0] - standard[0]) > abs(whole.predict(architectures[:1])[0][0] - standard[0])


@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors_rank_what_they_have_not_seen_and_know_less_of_it(kind):  # type: ignore[no-untyped-def]
    architectures = drawn(CELL, 300)
    targets = np.array([a.operations.count("conv_3x3") - 1.0 for a in architectures])
    targets /= targets.std()
    fitted = REGRESSORS[kind](architectures[:200], targets[:200], 0)
    guessed, unsure = fitted.predict(architectures[200:])
    assert np.corrcoef(guessed, targets[200:])[0, 1] > 0.7
    assert np.corrcoef(fitted.out_of_fold, targets[:200])[0, 1] > 0.7
    assert unsure.mean() > fitted.predict(architectures[:200])[1].mean()


def test_what_adds_up_is_left_to_the_linear_model_and_the_noise_is_known():
    architectures = drawn(DARTS, 300)
    rng = np.random.default_rng(0)
    worth = dict(zip(DARTS.primitives, rng.normal(0, 0.3, len(DARTS.primitives)), strict=True))
    truth = np.array([-2 + sum(worth[op] for op in a.operations) / 4 for a in architectures])
    model = ScoreModel(architectures, truth + rng.normal(0, 0.05, 300) - 1, "cross_entropy")
    assert model.shares == {"linear": 1.0}
    assert 0.02 < model.trust["noise"] < 0.06
    assert model.trust["error"] == pytest.approx(0.05, rel=0.3)
    assert model.trust["spearman"] > 0.9
    assert model.trust["r2"] > 0.9


def test_what_does_not_add_up_is_left_to_trees():
    """A path is worth something where both of its slots hold a convolution, or an average pooling."""
    architectures = drawn(CELL, 300)
    scores = np.array([0.5 + 0.4 * (a.operations[0][:3] == a.operations[4][:3]) for a in architectures])
    assert ScoreModel(architectures, scores).shares.get("linear", 0) < 0.5


def test_caution_lowers_scores_and_metrics_keep_their_range():
    architectures = drawn(CELL, 200)
    scores = np.linspace(0.05, 0.99, 50)
    model = ScoreModel(architectures[:50], scores)
    plain, careful = model.predict(architectures), model.predict(architectures, 2.0)
    assert (careful <= plain).all()
    assert (careful < plain).any()
    assert ((careful >= 0) & (plain <= 1)).all()
    assert (ScoreModel(architectures[:50], scores - 1, "cross_entropy").predict(architectures) <= 0).all()


@pytest.mark.parametrize("n", [1, 3, 7])
def test_of_few_scores_all_that_is_predicted_is_their_mean(n):  # type: ignore[no-untyped-def]
    architectures = drawn(CELL, n)
    model = ScoreModel(architectures, np.linspace(-2, -1, n) if n > 1 else np.array([-1.5]), "cross_entropy")
    np.testing.assert_allclose(model.predict(architectures), -1.5)
    assert model.shares == model.trust == {}


def test_equal_scores_are_predicted_as_they_are():
    architectures = drawn(CELL, 30)
    np.testing.assert_allclose(ScoreModel(architectures, np.full(30, 0.7)).predict(architectures), 0.7)


def related(architectures, rng, share):  # type: ignore[no-untyped-def]
    """Scores of two tasks, of parts that they share and of parts of their own."""
    counts = Indicators(architectures).counts(architectures)
    common, first, second = (counts @ rng.normal(0, 1, counts.shape[1]) for _ in range(3))
    mix = [(share * common + (1 - share) * own) / 10 for own in (first, second)]
    return [1 / (1 + np.exp(-(task - task.mean()))) for task in mix]


def test_another_tasks_model_says_something_of_a_related_one_and_nothing_of_a_stranger():
    rng = np.random.default_rng(3)
    known, few, left = drawn(CELL, 600, 1), drawn(CELL, 24, 2), drawn(CELL, 200, 4)
    error = {}
    for share in (0.9, 0.0):
        then, now = related([*known, *few, *left], rng, share)
        before, noisy = ScoreModel(known, then[:600]), (now[600:624] + rng.normal(0, 0.1, 24)).clip(0, 1)
        for name, model in (
            ("alone", ScoreModel(few, noisy)),
            ("before", ScoreModel(few, noisy, before=before)),
        ):
            error[share, name] = float(np.mean((model.predict(left) - now[624:]) ** 2))
        assert ("before" in model.shares) == (share > 0)
    assert error[0.9, "before"] < 0.5 * error[0.9, "alone"]
    assert error[0.0, "before"] == error[0.0, "alone"]


def test_a_transferred_prediction_leaves_the_own_target_out():
    """Against the regressor that is made without that architecture; variances are fitted anew there."""
    architectures = drawn(CELL, 40)
    guesses = dict(zip(architectures, np.random.default_rng(1).normal(size=40), strict=True))
    targets = np.array([*guesses.values()]) + np.random.default_rng(2).normal(0, 0.3, 40)

    def make(kept):  # type: ignore[no-untyped-def]
        known = partial(_looked_up, guesses)
        return TransferredRegressor([architectures[i] for i in kept], targets[kept], known=known)

    whole = make(np.arange(40))
    for i in (0, 7, 23):
        without = make(np.delete(np.arange(40), i))
        assert whole.out_of_fold[i] == pytest.approx(without.means([architectures[i]])[0], abs=0.1)
    means, deviations = whole.predict(architectures)
    np.testing.assert_allclose(whole.means(architectures), means)
    assert (deviations >= 0).all()


def _looked_up(guesses, architectures):  # type: ignore[no-untyped-def]
    return np.array([guesses[a] for a in architectures])
