"""Settings survive config.json; mistakes in them are named."""

from __future__ import annotations

import json

import pytest

from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton


def test_json_round_trip():
    settings = RunSettings(
        evaluator=EvaluatorSpec(skeleton=Skeleton(channels=8, cells=3), metric="cross_entropy", actors=2),
        learn=LearnSettings(algorithm="reinforce", group_size=4),
        initial=("DARTS", "VGG"),
        reward_clip=1.0,
    )
    assert RunSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert RunSettings.from_dict(json.loads(json.dumps(RunSettings().to_dict()))) == RunSettings()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"hed": "joint"}, "settings: unknown hed; known: budget, budgets, checkpoint_every, cost, evaluator, head"),
        ({"learn": {"lr": 1}}, "settings.learn: unknown lr; known: algorithm"),
        ({"evaluator": {"skeleton": {"chanels": 8}}}, "settings.evaluator.skeleton: unknown chanels"),
        ({"learn": 3}, "settings.learn: expected fields and values, got 3"),
        ({"head": "gru"}, "unknown head 'gru'; known: joint, autoregressive, lstm"),
        ({"rule": "nat3"}, "unknown rule 'nat3'"),
        ({"cost": "cheap"}, "unknown cost mode 'cheap'"),
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"evaluator": {"reward": "oracle"}}, "unknown reward 'oracle'; known: supernet, scratch, table:NAME"),
        ({"evaluator": {"metric": "f1"}}, "unknown metric 'f1'"),
        ({"evaluator": {"reward": "table:nasbench201", "metric": "cross_entropy"}}, "takes no metric: leave it out"),
        ({"evaluator": {"actors": -1}}, "actors must be at least 0"),
        ({"evaluator": {"space": "drts"}}, "unknown space 'drts'"),
    ],
)
def test_mistakes_are_named(document, message):
    with pytest.raises(ValueError, match=message):
        RunSettings.from_dict(document)
