"""Effects of replacements: which ones are worth a score, and what sums of them say."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from natrl.modules.importing import from_module
from natrl.search import Reachable
from natrl.search.combinations import best_combinations
from natrl.search.effects import Effects, EffectsEvaluator
from natrl.search.replacements import Replacements
from natrl.spaces.budget import Budget
from tests.modules.trained import trained


@cache
def replacements() -> Replacements:
    space = from_module(trained(), torch.zeros(2, 1, 8, 8))
    return Replacements(Reachable(space, space.architecture))


def harm(seed: int, spread: float) -> np.ndarray:
    """float64 (R,): a layer's part and an operation's, times chance."""
    rng, r = np.random.default_rng(seed), replacements()
    layer, operation = rng.lognormal(0, 1, r.slots.max() + 1), rng.lognormal(0, 1, r.primitives.max() + 1)
    return -0.01 * layer[r.slots] * operation[r.primitives] * rng.lognormal(0, spread, len(r))


def learned(truth: np.ndarray, budget: Budget | None, seed: int = 0) -> Effects:
    effects = Effects(replacements(), first=0.0, seed=seed)
    while len(which := effects.wanted(budget)):
        assert not effects.scored[which].any(), "nothing is asked for twice"
        effects.learn(which, truth[which])
    return effects


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("share", [0.7, 0.4])
def test_few_scores_find_nearly_what_all_would(spread: float, share: float) -> None:
    r, found, scored = replacements(), [], []
    for seed in range(8):
        truth, budget = harm(seed, spread), Budget(madds=share * r.cost[1])
        effects = learned(truth, budget, seed)
        (best,), (whole,) = (best_combinations(r, e, budget) for e in (effects.means, truth))
        found.append(best.effect / whole.effect)
        scored.append(effects.scored.mean())
    assert np.mean(found) < 1.15, "harm, in that of the best of all"
    assert np.mean(scored) < 0.9


def test_what_fails_is_never_made() -> None:
    r = replacements()
    failed = np.where(r.slots == r.slots[3], np.nan, harm(0, 0.0))
    effects = learned(failed, Budget(madds=0.6 * r.cost[1]))
    assert np.isnan(effects.means[r.slots == r.slots[3]]).all()
    assert effects.predict([r.architectures[3]])[0] < 9 * failed[~np.isnan(failed)].min()
    assert np.isnan(effects.drawn()[3])


def test_architectures_are_the_replacements_that_they_are_made_of() -> None:
    r = replacements()
    effects = Effects(r, first=0.0)
    np.testing.assert_array_equal(effects.made_of(r.batch), np.eye(len(r)))
    assert not effects.made_of([r.box.architecture]).any()
    chosen = np.zeros((1, len(r)), dtype=bool)
    some = np.flatnonzero(~r.emptying)
    chosen[0, some[np.unique(r.slots[some], return_index=True)[1]]] = True
    made, _ = r.together(chosen)
    np.testing.assert_array_equal(effects.made_of(made), chosen)


def test_what_replacements_do_together_is_learned_from() -> None:
    """Beside others each does twice its harm: sums are half of the truth, and after a few of these no longer."""
    r, truth, rng = replacements(), harm(1, 0.2), np.random.default_rng(0)
    effects = learned(truth, None)
    effects.learn(np.flatnonzero(~effects.scored), truth[~effects.scored])
    drawn = r.box.sample(40, rng)
    scores = 2 * effects.made_of(drawn) @ truth
    before = effects.predict(drawn[20:]) - scores[20:]
    effects.learn_together(drawn[:20], scores[:20])
    after = effects.predict(drawn[20:]) - scores[20:]
    assert np.abs(after).mean() < 0.5 * np.abs(before).mean()
    around = np.stack([effects.drawn() for _ in range(50)])
    np.testing.assert_allclose(around.mean(0), effects.means, atol=4 * around.std(0).max() / 50**0.5)
    assert (around.std(0) > 0).all()


def test_predictions_stay_within_what_the_metric_can_be() -> None:
    r = replacements()
    effects = learned(np.full(len(r), -0.6), None)
    both = [r.box.architecture, *r.box.sample(5, np.random.default_rng(0))]
    assert EffectsEvaluator(effects, "accuracy").evaluate(both).min() == 0
    assert EffectsEvaluator(effects, "cross_entropy").evaluate(both).max() == 0
    assert len(EffectsEvaluator(effects, "accuracy").evaluate([])) == 0
