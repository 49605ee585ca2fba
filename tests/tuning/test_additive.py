"""natrl.optimize by method "additive", on a tiny network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress

from natrl.core.architecture import Architecture
from natrl.evaluation import EvaluationError, Evaluator, FailedEvaluations
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.modules.importing import from_module
from natrl.rllib.settings import LearnSettings
from natrl.runs.directory import ledger_file
from natrl.spaces.budget import Budget
from natrl.tuning.optimize import optimize, OptimizeSettings
from natrl.tuning.optimize.additive import AdditiveProposer
from tests.commands.cli import error
from tests.modules.trained import digits, trained
from tests.tuning.own import Outputs
from tests.tuning.test_modules import TINY
from tests.tuning.test_own_score import GIVEN

SINGLE, LAYERS = 27, 8  # different replacements of one layer; layers that have one
ADDITIVE = OptimizeSettings(
    method="additive", evaluator=TINY.evaluator, candidates=3, finalists=2, fine_tuning=TINY.fine_tuning
)


class Interrupted(Exception):
    """What ends a call here."""


def test_a_network_within_its_budget_and_nothing_is_paid_for_twice(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended before the fine-tuning, and gone on with: eight seconds."""
    given = {"data": digits(), "budget": {"madds": "70%", "params": "90%"}, "out": tmp_path, "settings": ADDITIVE}

    def interrupted(*arguments: Any, **more: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr("natrl.tuning.optimize.tasks.fine_tune_all", interrupted)
        with pytest.raises(Interrupted):
            optimize(trained(), **given)
    paid = read_ledger(ledger_file(tmp_path))
    assert 1 + LAYERS + ADDITIVE.candidates <= len(paid) < 1 + SINGLE + ADDITIVE.candidates
    assert paid["score"].max() == 0  # minus divergences, of the original none
    assert (paid["score"] < 0).sum() == len(paid) - 1
    with pytest.raises(ValueError, match=r"was begun with another effects \('divergence' then, 'accuracy' now\)"):
        optimize(trained(), **given | {"settings": replace(ADDITIVE, effects="accuracy")}, resume=True)
    monkeypatch.setattr(InheritedEvaluator, "evaluate", None)  # nothing is scored again
    found = optimize(trained(), **given, resume=True)
    assert found.candidates == ADDITIVE.candidates
    assert found.after.cost.madds <= 0.7 * found.before.cost.madds
    assert found.after.cost.params <= 0.9 * found.before.cost.params
    assert found.after.validation_accuracy > 0.6
    assert len(read_ledger(ledger_file(tmp_path))) == len(paid)
    assert not (tmp_path / "policy").exists()


def test_a_score_of_the_users_on_actors_under_a_limit_on_latency(ray_session: None, tmp_path: Path) -> None:
    """Two actors; times by a table of layers: eight seconds and more."""
    settings = replace(ADDITIVE, evaluator=replace(TINY.evaluator, steps=None, actors=2), finalists=1)
    given = GIVEN | {"settings": settings, "out": tmp_path, "budget": {"latency": "1000%", "madds": "80%"}}
    found = optimize(Outputs(), **given)
    assert found.after.cost.madds <= 0.8 * found.before.cost.madds
    assert found.measured == "right_answers"


class Scorer(Evaluator):
    """A score that falls by an amount for each layer that changes; some fail."""

    def __init__(self, original: Architecture, fails: Sequence[int] = ()) -> None:
        self.original, self.fails, self.asked = original, fails, 0

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        changed = [self.original.changes(a) for a in architectures]
        scores = np.array([1 - 0.01 * sum(1 + i for i in slots) for slots in changed])
        failed = [bool(set(slots) & set(self.fails)) or (-1 in self.fails and not slots) for slots in changed]
        self.asked += len(architectures)
        if any(failed):
            scores[failed] = np.nan
            raise FailedEvaluations({a.key: "failed" for a, f in zip(architectures, failed, strict=True) if f}, scores)
        return scores


def proposer(n: int = 4) -> AdditiveProposer:
    space = from_module(trained(), torch.zeros(2, 1, 8, 8))
    return AdditiveProposer(space, replace(ADDITIVE, candidates=n), Progress(disable=True))


def test_a_replacement_that_fails_is_not_made_and_none_is_scored_again() -> None:
    proposing = proposer()
    original = proposing.space.architecture
    budget = Budget(0.6 * proposing.space.cost(original).madds)
    fine, fails = (Scorer(original, fails) for fails in ((), (0,)))
    assert original.operations[0] == "conv_5x5"
    free = proposing.candidates(budget, fine)
    assert (asked := fine.asked) <= 1 + SINGLE + len(free)
    assert all(0 in original.changes(a) for a in free)  # the stem is the layer that is missed least
    proposing.candidates(budget, fine)
    assert fine.asked <= asked + len(free)
    kept = proposer().candidates(budget, fails)
    assert kept
    assert not any(0 in original.changes(a) for a in kept)
    with pytest.raises(EvaluationError, match="the original with inherited weights cannot be scored"):
        proposer().candidates(budget, Scorer(original, (-1,)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learn": LearnSettings(iterations=3)}, "learn is of a policy, and method 'additive' learns none: leave it"),
        ({"keep": 1.0}, "keep is of a policy"),
        ({"evaluator": EvaluatorSpec(reward="inherited", surrogate=50)}, "evaluator.surrogate is of a policy"),
        ({"evaluator": EvaluatorSpec(reward="supernet")}, "scores by inherited weights: leave out 'supernet'"),
        ({"method": "greedy"}, "unknown method 'greedy'; known: policy, additive"),
        ({"learn_from": "scores"}, "learn_from is of a policy"),
        ({"method": "policy", "learn_from": "luck"}, "unknown learn_from 'luck'; known: effects, scores"),
        (
            {"method": "policy", "learn_from": "scores", "effects": "accuracy"},
            "effects are of single replacements, which nothing here scores: leave them out",
        ),
    ],
)
def test_what_the_method_has_no_use_for_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizeSettings(**{"method": "additive"} | settings)


def test_no_policy_is_taken_or_logged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = {"data": digits(), "budget": {"madds": "70%"}, "settings": ADDITIVE}
    with pytest.raises(ValueError, match="policy: method 'additive' has no policy"):
        optimize(trained(), **given, policy=tmp_path)
    command = ("optimize", "tests.modules.trained:narrow", "--data", "digits", "--max-madds", "80%")
    for option in (("--iterations", 2), ("--policy", tmp_path), ("--wandb", "x")):
        said = error(capsys, *command, "--method", "additive", *option)
        assert f"{option[0]} does not go with this: --method additive learns no policy" in said
    assert "unknown method 'greedy'; known: policy, additive" in error(capsys, *command, "--method", "greedy")
