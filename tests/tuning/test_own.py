"""A space and an evaluator of the user's, named or as objects, through whole runs: on actors, gone on with, used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from natrl.evaluation import Evaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.policies import load_policy
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.spaces.cells import CellSpace
from natrl.tuning.restore import restored_evaluator
from natrl.tuning.run import train

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


def natrl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "natrl", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_a_run_from_the_folder_of_a_users_module(tmp_path: Path) -> None:
    """Four commands in processes of their own, of which three start Ray: half a minute on a machine of its own."""
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
    sample = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
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


@pytest.mark.parametrize("actors", [0, 1])
def test_objects_in_python(ray_session: None, tmp_path: Path, actors: int) -> None:
    space = CellSpace("unregistered", nodes=2)
    spec = EvaluatorSpec(reward=Wide(0.375), space=space, actors=actors)
    learn = LearnSettings(iterations=1, batch_size=4, minibatch_size=4, epochs=1)
    run = train(RunSettings(evaluator=spec, learn=learn), tmp_path / "run")
    settings = json.loads((run / "config.json").read_text())["settings"]["evaluator"]
    assert (settings["reward"], settings["space"]) == (spec.reward, spec.space)
    assert load_policy(run).space is space
    architecture = space.sample(np.random.default_rng(0))
    assert restored_evaluator(run).evaluate([architecture]).tolist() == [0.375]
