"""A run whose space is one network of a user's: `natrl train` and `natrl.optimize` learn the same by the same means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import natrl
from natrl.data.loading import DATA
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.ledger.file import read_ledger
from natrl.evaluation.rewards import REWARDS
from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.policies import load_policy
from natrl.report.scores import read_candidates
from natrl.runs.directory import ledger_file
from natrl.runs.metrics import read_progress
from natrl.runs.settings import RunSettings
from natrl.spaces import SPACES
from natrl.spaces.budget import Budget
from natrl.tuning.documents import complete
from natrl.tuning.optimize import OptimizeSettings
from tests.commands.cli import error, output
from tests.modules.trained import digits, trained
from tests.tuning.test_modules import TINY

SPACE = from_module(trained(), torch.zeros(2, 1, 8, 8))  # a global, as a user's module has it: tests…:SPACE is its name
HERE = f"{__name__}:SPACE"


@pytest.fixture(scope="module")
def settings() -> RunSettings:
    madds = 0.7 * SPACE.cost(SPACE.architecture).madds
    spec = replace(TINY.evaluator, space=SPACE, data=digits())
    learn = replace(TINY.learn, iterations=1)
    return replace(TINY, evaluator=spec, learn=learn, budget=Budget(madds=madds)).run


def test_train_and_optimize_learn_the_same_policy(
    ray_session: None, settings: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An iteration each, and one more by resume; two networks are fine-tuned: half a minute."""
    known = set(SPACES._entries), set(DATA._entries)
    run = natrl.train(settings, out=tmp_path / "run")
    without_widths = "types,kernels,ranks,branches"  # as SPACE
    asked = replace(TINY, learn=settings.learn, learn_from="scores", moves=without_widths)
    found = natrl.optimize(trained(), data=digits(), budget={"madds": "70%"}, out=tmp_path / "out", settings=asked)
    own, theirs = (load_policy(folder, space=SPACE) for folder in (run, found.directory))
    torch.testing.assert_close(own.network.state_dict(), theirs.network.state_dict(), rtol=0, atol=0)
    paid = [read_ledger(ledger_file(folder)).set_index("architecture")["score"] for folder in (run, found.directory)]
    assert set(paid[0].items()) <= set(paid[1].items()), "and from the same scores, under the same key"
    assert (set(SPACES._entries), set(DATA._entries)) == known, "a network and its images are not kept for good"
    more = replace(settings, learn=replace(settings.learn, iterations=2))
    natrl.train(more, out=run, resume=True)
    assert len(read_progress(run)) == 2
    with pytest.raises(ValueError, match=r"was begun with another budget.madds"):
        natrl.train(replace(more, budget=Budget()), out=run, resume=True)
    output(capsys, "report", run, "--compare", 2)
    scores = read_candidates(run / "candidates.json")
    assert scores.skeleton is None
    assert scores.names == ["original", "random 2"]
    assert scores.rows["madds"].iloc[0] == SPACE.cost(SPACE.architecture).madds


def test_a_run_of_optimize_is_no_run_to_go_on_with_by_train(tmp_path: Path, settings: RunSettings) -> None:
    found = replace(TINY, evaluator=TINY.evaluator).run.to_dict()
    found["evaluator"]["space"] = "natrl.modules.space:ModuleSpace()"
    assert RunSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(ValueError, match=r"ModuleSpace\(\).*the program that made it has to make it again"):
        RunSettings.from_dict(found)


def test_settings_of_a_network_are_those_of_optimize() -> None:
    given = complete({"evaluator": {"space": HERE, "reward": "inherited", "data": "digits"}})
    default = OptimizeSettings(learn_from="scores")
    spec = replace(default.evaluator, space=HERE, data="digits", total_steps=1)
    assert given == replace(default.run, evaluator=spec)
    assert complete({"evaluator": {"space": HERE}, "initial": "uniform"}).initial == "uniform"


def test_a_ranking_of_transformations(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is trained."""
    truth = ("rank", "--space", HERE, "--truth", f"{__name__}:Counting", "-n", 5)
    document = json.loads(output(capsys, *truth, "--proxy", "inherited", "--json"))
    assert document["correlations"]["proxy"]["spearman"] < 0, "the more is replaced, the less is it worth"
    assert "--cells does not go with this: space tests" in error(capsys, *truth, "--cells", 3)


def test_what_stacks_no_cells_has_no_skeleton() -> None:
    paper = complete({"evaluator": {"space": HERE, "schedule": "paper"}}).evaluator
    assert (paper.skeleton, paper.weight_share) == (None, 0.4)
    with pytest.raises(ValueError, match="Residual is a whole network, not cells to be stacked: it has no skeleton"):
        complete({"evaluator": {"space": HERE, "skeleton": {"channels": 4}}})


def test_only_a_network_has_an_original() -> None:
    settings = RunSettings(initial="original")
    with pytest.raises(ValueError, match="space 'darts' is of no network, whose original episodes could start from"):
        natrl.envs.ArchTransitionEnv(space="darts", evaluator="table:nasbench201", initial=settings.initial)
    env = natrl.envs.ArchTransitionEnv(space=SPACE, evaluator=Counting(), initial="original")
    assert env.reset(seed=0)[1]["architecture"] == SPACE.architecture


class Counting(natrl.Evaluator):
    """The share of slots that changed."""

    def evaluate(self, architectures: list) -> np.ndarray:
        return np.array([np.mean(np.array(a.operations) != SPACE.architecture.operations) for a in architectures])


def test_the_inherited_reward_takes_what_it_needs() -> None:
    takes = REWARDS.get("inherited").takes
    assert {"space", "data", "steps", "reference_images", "score_images", "seed"} <= takes
    assert not takes & {"skeleton", "schedule", "weights"}
    with pytest.raises(ValueError, match="reward 'inherited' takes no schedule"):
        EvaluatorSpec(reward="inherited", schedule="paper")
    with pytest.raises(ValueError, match="space 'darts' has no trained network"):
        EvaluatorSpec(reward="inherited", data=digits())().evaluate([natrl.parse("DARTS")])


def test_what_is_lent_is_forgotten() -> None:
    images = replace(digits(), name="other")
    with DATA.lent(images) as name:
        assert natrl.load_data(name) is images
    with pytest.raises(ValueError, match="has to make it again"):
        natrl.load_data(name)
    with DATA.lent(images) as again, DATA.lent(images) as same:
        assert again == same != name, "workers may know the name of before"
    with SPACES.lent(SPACE) as home:
        assert home == HERE
    assert isinstance(natrl.space(HERE), ModuleSpace)
