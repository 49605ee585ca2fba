"""What guides call: each of it from the face of the package."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import natrl
from natrl.evaluation.factory import EvaluatorSpec
from natrl.news import is_quiet, say
from natrl.rllib.settings import LearnSettings
from natrl.runs.metrics import read_progress
from natrl.runs.scores import predicted_scores

FEW = LearnSettings(iterations=1, batch_size=16, minibatch_size=16)


def test_train_and_transform(ray_session: None, tmp_path: Path) -> None:
    """A few seconds: two iterations."""
    spec = EvaluatorSpec(reward="table:nasbench201", space="nasbench201")
    run = natrl.train(natrl.RunSettings(evaluator=spec, learn=FEW), out=tmp_path / "run")
    more = natrl.RunSettings(evaluator=spec, learn=LearnSettings(iterations=2, batch_size=16, minibatch_size=16))
    assert natrl.train(more, out=run, resume=True) == run
    assert len(read_progress(run)) == 2
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    found = natrl.transform(text, run, n=3)
    assert found.original == natrl.parse(text)
    known = natrl.transform(natrl.parse(text), natrl.load_policy(run), n=3, evaluator=predicted_scores(run))
    assert known.best == found.best, "of a run its own scores choose"
    with pytest.raises(ValueError, match="was begun with another"):
        natrl.train(out=run, settings=natrl.RunSettings(evaluator=spec, rule="nat"), resume=True)


def test_evaluate(ray_session: None) -> None:
    (first, second), (third, fourth) = natrl.evaluate(
        [natrl.parse("VGG"), natrl.parse("ResBlock")],
        data=natrl.load_data("digits"),
        networks=natrl.Skeleton(channels=4, cells=3),
        seeds=(0, 1),
    )
    assert {r.seed for r in (first, second)} == {r.seed for r in (third, fourth)} == {0, 1}
    assert min(r.validation_accuracy for r in (first, second, third, fourth)) > 0.3
    assert first.test_accuracy is None, "test data is read only where that is asked for"


def test_what_is_said_can_be_had_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("natrl")
    try:
        say("first")
        logger.setLevel("WARNING")
        assert is_quiet()
        say("second")
        say("third", level=logging.WARNING)
    finally:
        logger.setLevel(logging.INFO)
    assert capsys.readouterr().err.split() == ["first", "third"]
