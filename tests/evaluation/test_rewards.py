"""Rewards by name: what is built in, and evaluators of the user's as module:object or as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import cloudpickle

import natrl
from natrl.envs.joint import ArchTransitionEnv
from natrl.evaluation import Evaluator
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import build_evaluator, Reward, REWARDS
from natrl.spaces.nasbench201 import NasBench201Space
from natrl.training.schedule import Schedule

SPACE = NasBench201Space()
ARCHITECTURE = next(SPACE.architectures())


class Constant(Evaluator):
    """Scores that need no data."""

    def __init__(self, space: natrl.Space, seed: int = 0, value: float = 0.5) -> None:
        self.space, self.seed, self.value = space, seed, value

    def evaluate(self, architectures: Any) -> np.ndarray:
        return np.full(len(architectures), self.value)


class Kept(Constant):
    def settings(self) -> dict[str, Any]:
        return {"value": self.value}


class Shared(Constant):
    def train_weights(self, steps: int) -> dict[str, float]:
        return {}


class Lacking(Evaluator):
    pass


CONSTANT = Constant(SPACE, value=0.25)


def with_data(space: natrl.Space, data: Any, schedule: str) -> Evaluator:
    return Constant(space, value=data.num_classes / 100)


def nothing() -> None:
    return None


def raises() -> Evaluator:
    raise KeyError("mine")


def needs(alpha: float) -> Evaluator:
    return CONSTANT


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("supernet", {"changes": True, "trains": False, "free": False}),
        ("scratch", {"changes": False, "trains": True, "free": False}),
        ("table:nasbench201", {"changes": False, "trains": False, "free": True}),
    ],
)
def test_what_there_is_to_know_of_those_built_in(name: str, facts: dict[str, bool]) -> None:
    reward = REWARDS.get(name)
    assert {fact: getattr(reward, fact) for fact in facts} == facts
    assert ("data" in reward.takes) == ("schedule" in reward.takes) == (not reward.free)
    assert "argument" not in reward.takes or reward.free


@pytest.mark.parametrize("given", [Constant, f"{__name__}:Constant"], ids=["class", "name"])
def test_a_class_is_called_with_the_settings_that_it_names(given: Any) -> None:
    spec = EvaluatorSpec(reward=given, space="nasbench201", seed=3)
    assert spec.reward == f"{__name__}:Constant"
    evaluator = spec()
    assert isinstance(evaluator, Constant)
    assert (evaluator.space, evaluator.seed, evaluator.value) == (natrl.space("nasbench201"), 3, 0.5)
    assert spec.load_data() is None
    assert EvaluatorSpec(reward=given, skeleton=natrl.Skeleton(cells=2))().space.skeleton.cells == 2  # type: ignore[attr-defined]


def test_an_object_is_the_evaluator() -> None:
    spec = EvaluatorSpec(reward=CONSTANT)
    assert spec.reward == f"{__name__}:CONSTANT"
    assert spec() is CONSTANT
    made = EvaluatorSpec(reward=Constant(SPACE, value=0.75), space=SPACE)
    assert made.space == f"{__name__}:SPACE"
    assert made().evaluate([ARCHITECTURE]).tolist() == [0.75]
    assert EvaluatorSpec(reward=made.reward) == EvaluatorSpec(reward=made.kind.factory())


def test_a_function_with_data_and_a_schedule_of_ones_own() -> None:
    spec = EvaluatorSpec(reward=with_data, schedule=Schedule(epochs=1, batch_size=8))
    assert spec().evaluate([ARCHITECTURE]).tolist() == [0.1]
    with pytest.raises(ValueError, match="takes no metric: leave it out, got 'cross_entropy'"):
        EvaluatorSpec(reward=with_data, metric="cross_entropy")


def test_it_travels() -> None:
    spec = EvaluatorSpec(reward=Constant(SPACE, value=0.125), space="nasbench201")
    sent = cloudpickle.dumps(spec)
    del REWARDS._entries[spec.reward]
    with pytest.raises(ValueError, match="the program that made it has to make it again"):
        EvaluatorSpec(reward=spec.reward)
    assert cloudpickle.loads(sent)().evaluate([ARCHITECTURE]).tolist() == [0.125]


@pytest.mark.parametrize(("kind", "hits"), [(Kept, 1), (Constant, None), (Shared, None)])
def test_the_ledger_keeps_what_stays_as_it_is(tmp_path: Path, kind: type[Evaluator], hits: int | None) -> None:
    spec = EvaluatorSpec(reward=kind)
    assert spec.kind.changes == (kind is Shared)
    for _ in range(2):
        evaluator = spec.build(tmp_path / "ledger.db")
        evaluator.evaluate([ARCHITECTURE])
    assert evaluator.statistics().get("ledger_hits") == hits


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Lacking, "reward: the class Lacking does not define evaluate"),
        (SPACE, "reward: expected an object or subclass of natrl.evaluation.Evaluator, or a function"),
        (int, "returns one; got the class int"),
        ("scratch:x", "reward 'scratch:x': No module named 'scratch'"),
        ("table", "unknown reward 'table'; known: supernet, scratch, table:NAME, table:FILE"),
    ],
)
def test_what_is_no_evaluator_is_refused_at_once(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluatorSpec(reward=given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "an evaluator is an object of a subclass of natrl.evaluation.Evaluator, got a value of NoneType"),
        ("raises", "the function raised KeyError: 'mine'"),
        ("needs", "needs 'alpha', which is no setting here; known: actors, argument, bf16"),
    ],
)
def test_what_gives_none_says_so_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"reward '{__name__}:{name}'") as caught:
        EvaluatorSpec(reward=f"{__name__}:{name}")()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_environments_take_what_needs_only_the_space() -> None:
    env = ArchTransitionEnv(space="nasbench201", evaluator=f"{__name__}:Constant")
    assert env.reset(seed=0)[1]["score"] == 0.5
    with pytest.raises(ValueError, match="reward 'scratch' needs 'data', which is no setting here; known: argument, s"):
        build_evaluator("scratch", space=SPACE)


def test_one_registers_a_reward_with_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REWARDS, "_entries", dict(REWARDS._entries))
    constant = Reward(lambda argument: Constant(SPACE, value=float(argument)), free=True)
    REWARDS.register("constant", constant, "the same for all", arguments=("VALUE",))
    assert EvaluatorSpec(reward="constant:0.5")().evaluate([ARCHITECTURE]).tolist() == [0.5]
    sent = cloudpickle.dumps(EvaluatorSpec(reward="constant:0.5"))
    del REWARDS._entries["constant"]
    assert cloudpickle.loads(sent)().evaluate([ARCHITECTURE]).tolist() == [0.5]
