"""The pool of actors: results in order and once each, whatever happens to actors. An actor takes half a second."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import natrl
from natrl.evaluation import CachedEvaluator, Evaluator, FailedEvaluations

ray = pytest.importorskip("ray")

from ray.exceptions import ActorUnavailableError, NodeDiedError, RayActorError  # noqa: E402

from natrl.evaluation.pool.evaluator import PoolEvaluator  # noqa: E402
from natrl.evaluation.pool.losses import machine_left, MOST_LOSSES  # noqa: E402
from natrl.evaluation.pool.request import Request  # noqa: E402

from ..machines import join, wait_for  # noqa: E402

pytestmark = pytest.mark.usefixtures("ray_session")

ARCHS = [natrl.space("nasbench201").sample(np.random.default_rng(i)) for i in range(24)]
KEYS = [a.key for a in ARCHS]
SCORES = np.array([len(a.key) % 97 / 97 for a in ARCHS])
ACTS = ("exit", "hang", "raise", "nan", "above 1", "too many")


class Sleeper(Evaluator):
    """Uneven durations; does something unpleasant on some architectures, and writes down what it was asked."""

    def __init__(self, acts: dict[str, str] | None = None, folder: str = "", once: bool = False) -> None:
        self.acts, self.folder, self.once = acts or {}, folder, once
        self.weight = 0.0

    def evaluate(self, architectures):
        scores = [len(a.key) % 97 / 97 * (1 - self.weight) for a in architectures]
        for i, a in enumerate(architectures):
            time.sleep(hash(a.operations) % 5 / 1000)
            number = KEYS.index(a.key)
            if self.folder:
                with open(f"{self.folder}/asked", "a") as file:
                    file.write(f"{number} {os.getpid()}\n")
            done = f"{self.folder}/{number}.done"
            if a.key in self.acts and not os.path.exists(done):
                if self.once:
                    open(done, "w").close()
                scores = self.misbehave(self.acts[a.key], scores, i)
        return np.array(scores)

    def misbehave(self, act, scores, i):
        if act == "exit":
            os._exit(1)
        if act == "hang":
            time.sleep(60)
        if act == "raise":
            raise RuntimeError("no such layer")
        if act == "too many":
            return [*scores, 0.5]
        scores[i] = {"nan": np.nan, "above 1": 1.5}[act]
        return scores

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
def test_results_come_in_the_order_asked_and_once_each(tmp_path, chunk):
    pool = PoolEvaluator(functools.partial(Sleeper, folder=str(tmp_path)), actors=3, num_cpus=0.5, chunk=chunk)
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES)
    np.testing.assert_array_equal(pool.evaluate(ARCHS[::-1]), SCORES[::-1])
    assert pool.evaluate([]).shape == (0,)
    asked = [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()]
    assert Counter(asked) == {str(i): 2 for i in range(24)}
    figures = pool.statistics()
    assert 0 < figures["evaluations_per_second"] < 20_000
    assert figures["queue"] >= 24 - 3 * chunk
    assert figures["actor_restarts"] == figures["failed_attempts"] == 0
    assert pool.statistics()["queue"] == 0  # since the last call
    pool.close()


@pytest.mark.parametrize("chunk", [1, 5])
def test_failures_are_mended(tmp_path, chunk):
    """Each of six architectures misbehaves once."""
    build = functools.partial(Sleeper, dict(zip(KEYS[5::3], ACTS, strict=False)), str(tmp_path), once=True)
    pool = PoolEvaluator(build, actors=3, num_cpus=0.5, timeout=1.0, chunk=chunk)
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES)
    assert pool.restarts == 2  # exit and hang
    assert pool.statistics()["failed_attempts"] == 6
    pool.close()


def test_architectures_that_always_fail_are_named_after_all_others_are_done(tmp_path):
    poison = dict(zip(KEYS[5:17:2], ACTS, strict=True))
    pool = PoolEvaluator(
        functools.partial(Sleeper, poison, str(tmp_path)), actors=4, num_cpus=0.5, timeout=2.5, max_attempts=2
    )
    cache = CachedEvaluator(pool)
    with pytest.raises(FailedEvaluations) as raised:
        cache.evaluate(ARCHS)
    expected = {
        "exit": "ActorDiedError: actor died",
        "hang": "no result within 2.5 s",
        "raise": "RuntimeError: no such layer",
        "nan": "evaluator returned nan as accuracy of architecture",
        "above 1": "evaluator returned 1.5 as accuracy of architecture",
        "too many": "a number for each architecture, float64 of shape (1,); got float64 of shape (2,)",
    }
    assert set(raised.value.failures) == set(poison)
    for key, act in poison.items():
        assert raised.value.failures[key].startswith("failed 2 times: ")
        assert expected[act] in raised.value.failures[key]
        assert key in str(raised.value)
    healthy = np.array([key not in poison for key in KEYS])
    np.testing.assert_array_equal(raised.value.scores, np.where(healthy, SCORES, np.nan))
    asked = Counter(line.split()[0] for line in (tmp_path / "asked").read_text().splitlines())
    assert asked == {str(i): 1 if fine else 2 for i, fine in enumerate(healthy)}
    # What was paid for is kept, what failed is not tried again, and others can still be asked.
    np.testing.assert_array_equal(cache.evaluate([a for a in ARCHS if a.key not in poison]), SCORES[healthy])
    with pytest.raises(FailedEvaluations, match="no such layer"):
        cache.evaluate([ARCHS[KEYS.index(key)] for key, act in poison.items() if act == "raise"])
    assert (cache.evaluations, cache.failed) == (24, 6)
    assert len((tmp_path / "asked").read_text().splitlines()) == asked.total()
    pool.close()


def test_killed_actors_are_replaced_and_get_the_newest_weights(tmp_path):
    """The one that trains them, too: training goes on from its last state."""
    pool = PoolEvaluator(functools.partial(Sleeper, folder=str(tmp_path)), actors=2, num_cpus=0.5)
    assert pool.train_weights(5) == {"steps": 5.0}
    assert pool.version == 1
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES * 0.5)
    pids = {int(line.split()[1]) for line in (tmp_path / "asked").read_text().splitlines()}
    for pid in pids:  # both, or the one that stood already
        os.kill(pid, signal.SIGKILL)
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES * 0.5)
    assert pool.restarts == len(pids) >= 1
    state = pool.state_dict()
    assert state == {"weight": 0.5, "version": 1}
    assert pool.train_weights(2) == {"steps": 2.0}
    assert pool.version == 2
    np.testing.assert_allclose(pool.evaluate(ARCHS), SCORES * 0.8)
    pool.load_state_dict(state)
    assert pool.version == 1
    np.testing.assert_array_equal(pool.evaluate(ARCHS), SCORES * 0.5)
    pool.close()


class Mapped(Evaluator):
    """1 where the images lie in memory that Ray shares, 0 where this process has its own copy."""

    def __init__(self, data):
        self.data = data

    def evaluate(self, architectures):
        address = self.data.train.tensors[0].data_ptr()
        with open("/proc/self/maps") as file:
            for line in file:
                start, end = (int(text, 16) for text in line.split()[0].split("-"))
                if start <= address < end:
                    return np.full(len(architectures), float("plasma" in line))
        raise AssertionError("the images lie nowhere")


def test_actors_of_a_machine_share_the_images():
    from torch.utils.data import TensorDataset

    from natrl.data import ImageData

    pixels = torch.arange(600 * 3 * 16 * 16, dtype=torch.float32).reshape(600, 3, 16, 16)
    part = TensorDataset(pixels, torch.arange(600) % 10)
    data = ImageData("noise", part, part, part, 10, 16, 3, tuple("0123456789"))
    assert Mapped(data).evaluate(ARCHS[:1]) == 0
    pool = PoolEvaluator(functools.partial(Mapped, data), actors=1, num_cpus=0.5)
    assert pool.evaluate(ARCHS[:1]) == 1
    pool.close()
    sent = pickle.loads(pickle.dumps(data))
    assert torch.equal(sent.train.tensors[0], pixels)
    assert torch.equal(sent.train[5][1], part[5][1])


def test_constructor_errors_come_through_at_once():
    def build():
        raise ValueError("no data set of that name")

    with pytest.raises(ValueError, match="no data set of that name"):
        PoolEvaluator(build, actors=2, num_cpus=0.5)


def test_an_evaluator_that_dies_in_its_constructor_is_not_started_for_ever():
    with pytest.raises(
        natrl.evaluation.EvaluationError, match="could not be started: it died 2 times while it started"
    ):
        PoolEvaluator(lambda: os._exit(1), actors=1, num_cpus=0.5, max_attempts=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"actors": 0}, "actors must be at least 1, got 0"),
        ({"actors": 1, "chunk": 0}, "chunk must be at least 1, got 0"),
        ({"actors": 1, "max_attempts": 0}, "max_attempts must be at least 1, got 0"),
        ({"actors": 1, "timeout": 0}, "timeout must be above 0, got 0"),
        ({"actors": 1, "num_gpus": 0.5}, "1 evaluator actors with 0.5 GPU each need 0.5 GPUs; this Ray has 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        PoolEvaluator(Sleeper, **arguments)


def test_machines_that_leave_cost_no_attempt():
    request = Request(ARCHS[:2], chunk=1, max_attempts=1)
    part = request.waiting.popleft()
    for _ in range(MOST_LOSSES):
        request.lose(part, "its machine left")
        assert request.waiting.popleft() == part
    request.lose(part, "its machine left")  # an architecture that takes every machine down
    request.settle(request.waiting.popleft(), np.array([0.5]))
    assert not request.waiting
    with pytest.raises(FailedEvaluations, match="failed 1 times: its machine left") as raised:
        request.result()
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


class Patient(Evaluator):
    """Says that it was asked, and answers as soon as the folder says go."""

    def __init__(self, folder):
        self.folder = folder

    def evaluate(self, architectures):
        open(f"{self.folder}/{os.getpid()}.here", "w").close()
        while not os.path.exists(f"{self.folder}/go"):
            time.sleep(0.02)
        return np.full(len(architectures), 0.5)


def test_a_machine_that_leaves_is_no_failure_of_an_architecture(tmp_path):
    """A real one, in an orderly way, as the autoscaler takes them. To join, start an actor and leave takes seconds."""
    leave = join(num_cpus=8)
    pool = PoolEvaluator(functools.partial(Patient, str(tmp_path)), actors=1, num_cpus=8, max_attempts=1)
    with ThreadPoolExecutor() as threads:
        scores = threads.submit(pool.evaluate, ARCHS[:1])
        wait_for(tmp_path, 1)
        leave(True)
        leave = join(num_cpus=8)
        wait_for(tmp_path, 2)
        (tmp_path / "go").touch()
        assert scores.result(timeout=60).tolist() == [0.5]
    leave(True)
    assert pool.statistics()["failed_attempts"] == 0
    pool.close()


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (ActorUnavailableError("Socket closed", None), True),
        (NodeDiedError("gone"), True),
        (RayActorError(error_msg="The actor died because its node has died. received SIGTERM"), True),
        (RayActorError(preempted=True), True),  # a drain
        (RayActorError(), False),
        (RayActorError(error_msg="Worker exit type: SYSTEM_ERROR"), False),
        (RuntimeError("its node has died"), False),
        (None, False),
    ],
)
def test_what_says_that_a_machine_left(error, left):
    assert machine_left(error) is left
