"""The trade-off of one architecture."""

from __future__ import annotations

import json

import numpy as np
import pytest

import natrl
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.policies.front import front
from natrl.report.front import front_figure, front_table
from natrl.runs.scores import score_model
from tests.commands.cli import run
from tests.envs.checks import ByName
from tests.policies.test_budgets import policy

SPACE = natrl.space("nasbench201")
DENSE = SPACE.sample(np.random.default_rng(0)).with_operations(["conv_3x3"] * 6)


@pytest.mark.parametrize("kinds", [("madds",), ()], ids=str)
@pytest.mark.parametrize("resource", ["madds", "params"])
def test_every_answer_is_within_its_budget(kinds, resource):
    found = front(policy("nasbench201", kinds=kinds), DENSE, resource=resource, evaluator=ByName(), chance=3)
    limits = [point.limit for point in found.points]
    assert limits == sorted(limits)
    assert limits[-1] == getattr(SPACE.cost(DENSE), resource)
    for point in found.points:
        assert getattr(point.cost, resource) <= point.limit
        assert point.cost == SPACE.cost(point.answer)
        assert len(point.chance) == 3
    assert found.original.answer == DENSE


def test_scores_are_asked_for_the_original_and_the_dearest_answers_first():
    class Counts(ByName):
        asked = ()

        def evaluate(self, architectures):
            self.asked = tuple(architectures)
            return super().evaluate(architectures)

    evaluator = Counts()
    found = front(policy("nasbench201"), DENSE, evaluator=evaluator, evaluations=3, chance=4)
    assert len(evaluator.asked) == 3
    assert evaluator.asked[0] == DENSE
    assert found.original.score is not None
    assert found.points[-1].score is not None
    assert found.points[0].score is None
    assert not any(point.chance for point in found.points if point.answer != DENSE and not point.score)


def test_the_front_is_what_nothing_else_beats():
    found = front(policy("nasbench201"), DENSE, evaluator=ByName())
    points = [*found.points, found.original]
    for point in points:
        beaten = any(
            (o.score > point.score and o.cost.madds <= point.cost.madds)
            or (o.score >= point.score and o.cost.madds < point.cost.madds)
            for o in points
        )
        assert found.on_front(point) == (not beaten)


def test_a_model_predicts_what_is_not_scored():
    rng = np.random.default_rng(0)
    known = [SPACE.sample(rng) for _ in range(60)]
    model = ScoreModel(known, ByName().evaluate(known))
    found = front(policy("nasbench201"), DENSE, model=model, budgets=["50%", 0.5, "100%"])
    assert [point.limit for point in found.points] == [SPACE.cost(DENSE).madds * share for share in (0.5, 1)]
    for point in found.points:
        assert point.predicted == pytest.approx(model.predict([point.answer])[0])
        assert point.best_known == point.predicted
        assert len(point.chance) == 8


def test_table_picture_and_document_show_every_point():
    found = front(policy("nasbench201"), DENSE, evaluator=ByName(), budgets=["40%", "80%"])
    assert front_table(found).row_count == 3
    assert len(front_figure(found).axes) == 1
    document = json.loads(json.dumps(found.to_dict()))
    assert [point["limit"] for point in document["points"]] == [p.limit for p in found.points]
    assert natrl.Architecture.from_dict(document["points"][0]["architecture"]) == found.points[0].answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budgets": []}, "budgets are numbers or shares"),
        ({"budgets": "80%"}, "budgets must be a list"),
        ({"budgets": ["lots"]}, "a budget must be a number or a share"),
        ({"budgets": ["1%"]}, "the smallest reachable cost is"),
        ({"resource": "time"}, "unknown resource 'time'; known: params, madds"),
        ({"evaluations": -1, "evaluator": ByName()}, "evaluations must be"),
        ({"evaluator": 3}, "evaluator"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        front(policy("nasbench201"), DENSE, **options)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    policy("nasbench201").save(tmp_path / "policy")
    assert score_model(tmp_path) is None
    key = DENSE.key
    assert run("front", key, "--policy", "policy", "--evaluator", "table:nasbench201", "--picture", "front.png") == 0
    assert "chance" in capsys.readouterr().out
    assert (tmp_path / "front.png").stat().st_size > 10_000
    assert run("front", key, "--policy", "policy", "--budgets", "50%,90%", "--of", "params", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["points"]) == 2
    assert run("front", key, "--policy", "policy", "--picture", "empty.png") == 2
    assert "--picture shows scores" in capsys.readouterr().err
    assert not (tmp_path / "empty.png").exists()
    assert run("front", key, "--policy", "policy", "--evaluations", "3") == 2
    assert "--evaluator KIND" in capsys.readouterr().err
    assert run("transform", key, "--policy", "policy", "--evaluator", "model") == 2
    assert "policy has paid for too few scores that predict others; leave it out" in capsys.readouterr().err
