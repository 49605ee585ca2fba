"""Modules of the user's, in a folder that only the driver has on its path, work in Ray's workers."""

from __future__ import annotations

import sys
import threading

import pytest
import ray
from ray import cloudpickle

import natrl
from natrl.data import load_data
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.pool.evaluator import PoolEvaluator
from natrl.evaluation.user_code import check_travels, share_user_code
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings

MODULE = '''
import threading
import numpy as np
import torch
from natrl.evaluation import Evaluator
from natrl.policies.heads import JointHead
from natrl.spaces import register_space
from natrl.spaces.cells import CellSpace

BEST = 0.75
LOCK = threading.Lock()

class Constant(Evaluator):
    def settings(self):
        return None

    def evaluate(self, architectures):
        return np.full(len(architectures), BEST)

class OwnSpace(CellSpace):
    """Of the user's own class."""

space = register_space(OwnSpace("own_{name}", nodes=2))

def load():
    return np.random.default_rng(0).random((100, 8, 8)), np.arange(100) % 4

class Head(JointHead):
    """Of the user's own class."""

def algorithm(settings):
    return settings

def locked():
    with LOCK:
        return load()

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU())
        self.blocks[1].guard = threading.Lock()
'''


@pytest.fixture
def users(tmp_path, monkeypatch, request, forgotten_spaces):
    """A module that workers cannot import."""
    name = f"users_{request.node.name.split('[')[0]}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("{name}", name))
    monkeypatch.syspath_prepend(tmp_path)
    return __import__(name)


def test_an_evaluator_of_a_class_of_the_users(ray_session, users):
    pool = PoolEvaluator(users.Constant, actors=1, num_cpus=1)
    try:
        assert pool.evaluate([natrl.parse("DARTS")]).tolist() == [0.75]
    finally:
        pool.close()


def test_what_a_spec_names_travels_with_it(ray_session, users):
    spec = EvaluatorSpec(reward="scratch", space=users.space.name, data=f"{users.__name__}:load", seed=3)

    def names(spec):
        from natrl.spaces import space

        return spec.seed, type(space(spec.space)).__name__, spec.load_data().num_classes

    share_user_code()
    assert ray.get(ray.remote(names).remote(spec)) == (3, "OwnSpace", 4)
    assert cloudpickle.loads(cloudpickle.dumps(spec)) == spec
    learn = LearnSettings(f"{users.__name__}:algorithm")
    settings = RunSettings(evaluator=spec, learn=learn, head=f"{users.__name__}:Head")

    def found(settings):
        """What a sweep's trial makes of a document: names alone."""
        again = RunSettings.from_dict(settings.to_dict())
        return [again.registry("head").get(again.head).decide.__name__, again.learn.registry("algorithm").names()[:2]]

    assert ray.get(ray.remote(found).remote(settings)) == ["Head", ("ppo", "reinforce")]
    assert {*settings.own, *learn.own, *spec.own} == {"head", "algorithm", "space", "data"}


def test_a_spec_without_the_users_names_is_its_fields():
    spec = EvaluatorSpec(seed=3)
    assert spec.__getstate__()["own"] == {}
    assert cloudpickle.loads(cloudpickle.dumps(spec)) == spec


def test_what_cannot_travel_is_named(users):
    with pytest.raises(ValueError, match=r"a network cannot be sent to Ray's workers: its blocks\.1\.guard \(lock\)"):
        check_travels(users.Network(), "a network")
    with pytest.raises(ValueError, match=r"data 'x' cannot be sent .*: its LOCK \(lock\) cannot be pickled"):
        check_travels(users.locked, "data 'x'")
    with pytest.raises(ValueError, match=r"it cannot be sent to Ray's workers: lock cannot be pickled"):
        check_travels(threading.Lock(), "it")


def test_what_can_travel_is_not_refused(users):
    check_travels(users.Constant(), "an evaluator")
    check_travels(load_data("digits"), "data")
    assert sys.modules[users.__name__] is users
