"""A supernet that scores on other images at each version, in this process and on actors."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import natrl
from natrl import Skeleton, zoo
from natrl.data import load_data
from natrl.evaluation import CachedEvaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.pool.evaluator import PoolEvaluator
from natrl.evaluation.supernet import SupernetEvaluator

SPEC = EvaluatorSpec(
    skeleton=Skeleton(channels=2, cells=2, image_size=8, image_channels=1),
    metric="cross_entropy",
    weight_share=0.4,
    score_images=64,
    total_steps=10,
)
NAMED = [zoo()[name] for name in ("VGG", "DARTS", "ResBlock")]


def one_after_the_other(evaluator, versions):
    """Scores of training, of updates after it, of training again, and of updates after that."""
    scores = []
    for version in range(versions):
        if version in (0, 4):
            evaluator.train_weights(1)
        else:
            evaluator.before_update()
        scores.append(evaluator.evaluate(NAMED))
    return np.array(scores)


def test_each_version_scores_on_other_images():
    evaluator = SPEC()
    assert evaluator.rotates
    scores = one_after_the_other(evaluator, 4)
    assert len({tuple(row) for row in scores.tolist()}) == 4
    assert evaluator.version == 4
    assert np.array_equal(evaluator.evaluate(NAMED), scores[-1]), "the same at the same version"


def test_the_cache_forgets_at_each_version():
    cached = CachedEvaluator(SPEC())
    assert np.array_equal(one_after_the_other(cached, 3), one_after_the_other(SPEC(), 3))
    assert cached.evaluations == 9


def test_weights_and_states_carry_their_images():
    one, other = SPEC(), SPEC()
    one_after_the_other(one, 3)
    other.set_weights(one.get_weights(), one.version)
    assert np.array_equal(one.evaluate(NAMED), other.evaluate(NAMED))
    state = one.state_dict()
    one.before_update()
    wanted = one.evaluate(NAMED)
    fresh = SPEC()
    fresh.load_state_dict(state)
    fresh.before_update()
    assert np.array_equal(fresh.evaluate(NAMED), wanted)


def test_actors_score_as_one_process_does(ray_session):
    """With checkpoints in between, and actors that were not asked for a while."""
    data = load_data("digits")
    pool = PoolEvaluator(partial(SPEC, data), actors=2, num_cpus=0.5)
    assert np.array_equal(one_after_the_other(pool, 7), one_after_the_other(SPEC(), 7))
    state = pool.state_dict()
    pool.before_update()
    wanted = pool.evaluate(NAMED)
    pool.load_state_dict(state)
    assert pool.version == 7
    pool.before_update()
    assert np.array_equal(pool.evaluate(NAMED), wanted)
    pool.close()


def test_a_usual_supernet_stays_with_its_validation_images():
    evaluator = SupernetEvaluator(natrl.space("darts").on(SPEC.skeleton), "digits", total_steps=10)
    before = evaluator.evaluate(NAMED)
    evaluator.before_update()
    assert evaluator.version == 0
    assert np.array_equal(evaluator.evaluate(NAMED), before)


def test_a_share_that_leaves_no_images_is_refused():
    with pytest.raises(ValueError, match=r"a share of 0.9999 of 800 leaves none"):
        EvaluatorSpec(skeleton=SPEC.skeleton, weight_share=0.9999)()
