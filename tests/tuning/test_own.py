"""A space, an evaluator, an algorithm and a head of the user's, through whole runs: on actors, gone on with, used."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from natrl.evaluation import Evaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.policies import load_policy
from natrl.policies.heads import JointHead
from natrl.rllib.reinforce import configure
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.spaces.cells import CellSpace
from natrl.tuning.restore import restored_evaluator
from natrl.tuning.run import train
from tests.machines import joining
from tests.workers.programs import run_program

MODULE = """
import numpy as np
from natrl.evaluation import Evaluator
from natrl.spaces.cells import CellSpace

class OwnSpace(CellSpace):
    pass

class Wide(Evaluator):
    def __init__(self, space, seed):
        assert type(space).__name__ == "OwnSpace"
        self.seed = seed

    def settings(self):
        return {"kind": "wide", "seed": self.seed}

    def evaluate(self, architectures):
        return np.array([np.mean([op.startswith("sep_conv") for op in a.operations]) for a in architectures])

space = OwnSpace("own", nodes=2)
"""
SMALL = ("--iterations", "1", "--batch-size", "4", "--actors", "1", "--surrogate", "10", "--seed", "4")


def natrl(folder: Path, *arguments: str) -> CompletedProcess[str]:
    """A command in a process of its own, which joins the Ray of the tests."""
    return run_program(["-m", "natrl", *arguments], folder, joining())


@pytest.mark.timeout(600)
def test_a_run_from_the_folder_of_a_users_module(ray_session: None, tmp_path: Path) -> None:
    """Four commands in processes of their own."""
    (tmp_path / "ownmodule.py").write_text(MODULE)
    named = ("--space", "ownmodule:space", "--reward", "ownmodule:Wide")
    for arguments in (("--out", "run"), ("--resume", "run", "--iterations", "2")):
        done = natrl(tmp_path, "train", *named, *SMALL, *arguments, "--json")
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["training_iteration"] == 2
    code = """if True:
        import json, numpy, ownmodule
        print(json.dumps(ownmodule.space.sample(numpy.random.default_rng(0)).to_dict()))
    """
    sample = run_program(["-c", code], tmp_path, joining())
    (tmp_path / "a.json").write_text(sample.stdout)
    done = natrl(tmp_path, "transform", "a.json", "--policy", "run", "--evaluator", "run", "--json")
    assert done.returncode == 0, done.stderr
    done = natrl(tmp_path.parent, "train", "--resume", str(tmp_path / "run"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "space 'ownmodule:space': No module named 'ownmodule'" in done.stderr


class Wide(Evaluator):
    """Has no name but its object's."""

    def __init__(self, value: float) -> None:
        self.value = value

    def evaluate(self, architectures):
        return np.full(len(architectures), self.value)


def half(settings: LearnSettings):
    """An algorithm: REINFORCE that knows half of the entropy bonus."""
    return configure(replace(settings, entropy=settings.entropy / 2))


class Last(JointHead):
    """A head: of equally probable operations the last."""

    def sample(self, scene, choose):
        return super().sample(scene._replace(offset=scene.offset.cumsum(-1)), choose)


class Short(JointHead):
    def sample(self, scene, choose):
        actions, distribution = super().sample(scene, choose)
        return actions[:, 1:], distribution


def test_a_head_that_cannot_decide_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"head 'tests.tuning.test_own:Short': the class raised \w+Error: ") as raised:
        train(RunSettings(evaluator=EvaluatorSpec("table:nasbench201", "nasbench201"), head=Short), tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()
    guarded = type("Guarded", (Last,), {"guard": threading.Lock()})
    settings = RunSettings(evaluator=EvaluatorSpec("table:nasbench201", "nasbench201"), head=guarded)
    with pytest.raises(ValueError, match=r"head '.*Guarded' cannot be sent to Ray's workers: its guard \(lock\)"):
        train(settings, tmp_path / "run")


@pytest.mark.parametrize("actors", [0, 1])
def test_objects_in_python(ray_session: None, tmp_path: Path, actors: int) -> None:
    space = CellSpace("unregistered", nodes=2)
    spec = EvaluatorSpec(reward=Wide(0.375), space=space, actors=actors)
    learn = LearnSettings(half, iterations=1, batch_size=4, minibatch_size=4, epochs=1)
    head = type("Own", (Last,), {})
    run = train(RunSettings(evaluator=spec, learn=learn, head=head), tmp_path / "run")
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert settings["learn"]["algorithm"] == "tests.tuning.test_own:half"
    assert (settings["evaluator"]["reward"], settings["evaluator"]["space"]) == (spec.reward, spec.space)
    assert load_policy(run).space is space
    assert type(load_policy(run).network.head) is head
    architecture = space.sample(np.random.default_rng(0))
    assert restored_evaluator(run).evaluate([architecture]).tolist() == [0.375]
