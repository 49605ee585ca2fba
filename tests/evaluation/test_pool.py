"""The pool of actors: results in order and once each, whatever happens to actors. Each pool takes about a second."""

from __future__ import annotations

import functools
import os
import time

import numpy as np
import pytest

import natrl
from natrl.evaluation import Evaluator

ray = pytest.importorskip("ray")

from natrl.evaluation.pool import EvaluationError, PoolEvaluator  # noqa: E402

pytestmark = pytest.mark.usefixtures("ray_session")

ARCHS = [natrl.space("nasbench201").sample(np.random.default_rng(i)) for i in range(24)]
SCORES = np.array([len(a.key) % 97 / 97 for a in ARCHS])
POISON = ARCHS[5].key


class Sleeper(Evaluator):
    """Uneven durations; does something unpleasant on one architecture."""

    def __init__(self, unpleasant: str = "", once: str = "") -> None:
        self.unpleasant, self.once = unpleasant, once
        self.weight = 0.0

    def evaluate(self, architectures):
        for a in architectures:
            time.sleep(hash(a.operations) % 5 / 1000)
            if a.key == POISON and not (self.once and os.path.exists(self.once)):
                if self.once:
                    open(self.once, "w").close()
                self.misbehave()
        return np.array([len(a.key) % 97 / 97 for a in architectures]) * (1 - self.weight)

    def misbehave(self):
        if self.unpleasant == "exit":
            os._exit(1)
        if self.unpleasant == "hang":
            time.sleep(60)
        if self.unpleasant == "raise":
            raise RuntimeError("no such layer")

    def train_weights(self, steps):
        self.version += 1
        self.weight = steps / 10
        return {"steps": float(steps)}

    def get_weights(self):
        return {"weight": np.array(self.weight)}

    def set_weights(self, weights, version):
        self.weight, self.version = float(weights["weight"]), version

    def state_dict(self):
        return {"weight": self.weight, "version": self.version}

    def load_state_dict(self, state):
        self.weight, self.version = state["weight"], state["version"]


@pytest.mark.parametrize("chunk", [1, 7])
def test_results_come_in_the_order_asked(chunk):
    pool = PoolEvaluator(Sleeper, actors=3, num_cpus=0.5, chunk=chunk)
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES)
    np.testing.assert_array_equal(pool.evaluate(ARCHS[::-1]), SCORES[::-1])
    assert pool.evaluate([]).shape == (0,)
    pool.close()


@pytest.mark.parametrize("unpleasant", ["exit", "hang", "raise"])
def test_one_failure_is_mended(tmp_path, unpleasant):
    build = functools.partial(Sleeper, unpleasant, str(tmp_path / "done"))
    pool = PoolEvaluator(build, actors=2, num_cpus=0.5, timeout=1.0)
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES)
    assert pool.restarts == (unpleasant != "raise")
    pool.close()


@pytest.mark.parametrize(
    ("unpleasant", "reason"),
    [("exit", "ActorDiedError"), ("hang", "no result within 1.0 s"), ("raise", "RuntimeError: no such layer")],
)
def test_an_architecture_that_always_fails_is_named_and_the_pool_goes_on(unpleasant, reason):
    pool = PoolEvaluator(functools.partial(Sleeper, unpleasant), actors=2, num_cpus=0.5, timeout=1.0, max_attempts=2)
    with pytest.raises(EvaluationError, match="failed 2 times") as raised:
        pool.evaluate(ARCHS)
    assert POISON in str(raised.value)
    assert reason in str(raised.value)
    healthy = [i for i, a in enumerate(ARCHS) if a.key != POISON]
    np.testing.assert_array_equal(pool.evaluate([ARCHS[i] for i in healthy]), SCORES[healthy])
    pool.close()


def wait_for_the_end_of(actor):
    """Raises RayActorError once the actor is gone: a kill takes a moment."""
    while True:
        ray.get(actor.ready.remote())


def test_killed_actor_is_replaced_and_gets_the_newest_weights():
    pool = PoolEvaluator(Sleeper, actors=2, num_cpus=0.5)
    assert pool.train_weights(5) == {"steps": 5.0}
    assert pool.version == 1
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES * 0.5)
    victims = list(pool._actors)  # one or both: the pool does not wait for its second actor
    for actor in victims:
        ray.kill(actor)
        with pytest.raises(ray.exceptions.RayActorError):
            wait_for_the_end_of(actor)
        np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES * 0.5)
    assert pool.restarts == len(victims) >= 1
    pool.close()


def test_state_reaches_every_actor():
    first = PoolEvaluator(Sleeper, actors=1, num_cpus=0.5)
    first.train_weights(5)
    state = first.state_dict()
    first.close()
    second = PoolEvaluator(Sleeper, actors=3, num_cpus=0.5)
    second.load_state_dict(state)
    assert second.version == 1
    np.testing.assert_array_equal(second.evaluate(ARCHS), SCORES * 0.5)
    second.close()


def test_constructor_errors_come_through():
    def build():
        raise ValueError("no data set of that name")

    with pytest.raises(ValueError, match="no data set of that name"):
        PoolEvaluator(build, actors=2, num_cpus=0.5)


@pytest.mark.parametrize("arguments", [{"actors": 0}, {"actors": 1, "chunk": 0}, {"actors": 1, "max_attempts": 0}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        PoolEvaluator(Sleeper, **arguments)
