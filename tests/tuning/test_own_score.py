"""natrl.optimize with functions of the user's: any outputs, any score, any training."""

from __future__ import annotations

import json
import pickle
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from natrl.digests import digest
from natrl.evaluation.own_score import ORIGINAL, Scale, scored, ScoreError, ScoreEvaluator
from natrl.evaluation.user_code import FunctionError
from natrl.modules.original import measure_original
from natrl.report.network import write_network_report
from natrl.tuning.optimize import optimize
from natrl.tuning.optimize.given import space_and_task
from tests.commands.cli import error, output
from tests.modules.trained import digits, trained
from tests.tuning.own import EXAMPLE, Outputs, own_training, right_answers
from tests.tuning.test_modules import TINY

GIVEN = {"score": right_answers, "tune": own_training, "example_input": EXAMPLE, "budget": {"madds": "70%"}}


def test_any_outputs_any_score_any_training(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy in two updates and two trainings: ten seconds."""
    given = GIVEN | {"settings": TINY, "out": tmp_path / "out"}
    found = optimize(Outputs(), **given)
    assert isinstance(found.model, Outputs)
    before, after = found.before, found.after
    assert after.cost.madds <= 0.7 * before.cost.madds
    assert before.validation_accuracy == scored(right_answers, Outputs())
    assert after.validation_accuracy == scored(right_answers, found.model) > 60
    assert before.test_accuracy is after.test_accuracy is found.recalibrated.test is None
    assert f"right_answers: {before.validation_accuracy:.5g} ⇒ " in found.summary()
    assert f"the original: right_answers {before.validation_accuracy:.6g}\n" in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["measured"], report["after"]["test_accuracy"]) == ("right_answers", None)
    assert "right_answers, with new batch-norm statistics before" in write_network_report(found.directory).read_text()
    with pytest.raises(ValueError, match="another score, another tune; give what it was begun with"):
        optimize(Outputs(), **given | {"score": partial(right_answers), "tune": partial(own_training)}, resume=True)
    monkeypatch.setattr("natrl.tuning.optimize.tasks.run_tasks", None)  # nothing is trained again
    again = optimize(Outputs(), **given, resume=True)
    torch.testing.assert_close(dict(again.model.state_dict()), dict(found.model.state_dict()), rtol=0, atol=0)


MODULE = """
import torch
from torch import nn

clean = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 1, 1))

def closeness(network):
    return -(network(clean) - clean).square().mean()

def inputs():
    return clean
"""


def test_the_command_without_training(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finalists are chosen as they are: six seconds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "denoising.py").write_text(MODULE)
    command = ["optimize", "denoising:build", "--score", "denoising:closeness", "--max-madds", "60%"]
    small = ["--iterations", 1, "-n", 2, "-o", "out", "--onnx"]
    assert "--score needs --example module:object" in error(capsys, *command, *small)
    assert "--tune does not go with this: it goes with --score" in error(
        capsys, "optimize", "denoising:build", "--data", "digits", "--tune", "denoising:build", "--max-madds", "60%"
    )
    assert "score 'denoising': expected module:object, or distance" in error(
        capsys, *command[:3], "denoising", *command[4:], "--example", "denoising:inputs", *small
    )
    command += ["--example", "denoising:inputs"]
    assert "--example does not go with this: with --data, natrl trains and measures" in error(
        capsys, *command, *small, "--data", "digits"
    )
    for of_schedule in (["--epochs", 1], ["--learning-rate", 0.1], ["--no-distill"]):
        assert f"{of_schedule[0]} does not go with this: --score without --data trains by --tune alone" in error(
            capsys, *command, *small, *of_schedule
        )
    assert "--expect-accuracy is a number that --score can give" in error(
        capsys, *command, *small, "--expect-accuracy", "90%"
    )
    printed = output(capsys, *command, *small)
    assert "closeness: −" in printed
    assert {"model.py", "model.onnx", "report.html"} <= {file.name for file in (tmp_path / "out").iterdir()}


def shape(network: nn.Module) -> str:
    return "good"


def nothing(network: nn.Module) -> float:
    return float("nan")


def broken(network: nn.Module) -> float:
    raise KeyError("labels")


HELD = threading.Lock()


def cannot_travel(network: nn.Module, lock: threading.Lock = HELD) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"score": shape}, r"score\(network\) must return a finite number, the higher the better; it returned str"),
        ({"score": nothing}, r"score\(network\) must return a finite number, .* it returned nan"),
        ({"score": broken}, r"score\(network\) raised KeyError: 'labels'"),
        ({"score": 3}, "score must be Callable or NamedScore or text or None, got 3"),
        ({"score": "accuracy"}, "a score is a function of a network, or \"distance\", got 'accuracy'"),
        ({"score": cannot_travel}, "the function score cannot be sent to Ray's workers: .* cannot be pickled"),
        ({"score": None, "data": "digits"}, "tune goes with score"),
        ({"score": None, "tune": None}, 'give data, such as "cifar10", or a score of your own'),
        ({"data": "digits"}, "leave out data, mean, std and transform"),
        ({"mean": 0.5}, "leave out data, mean, std and transform"),
        ({"example_input": None}, "score needs example_input"),
        ({"expect_accuracy": "90%"}, "expect_accuracy is a number that score can give, got '90%'"),
        ({"expect_accuracy": float("nan")}, "expect_accuracy is a number that score can give, got nan"),
        ({"expect_accuracy": 201}, r"the original: right_answers 1\d\d, below the 201 expected"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_is_paid_for(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        optimize(Outputs(), **GIVEN | {"settings": TINY, "out": tmp_path / "out"} | changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    traceback = tmp_path / "out-traceback.txt"
    assert traceback.exists() == (changes.get("score") is broken)
    if traceback.exists():
        assert str(caught.value).endswith(f"; its traceback is in {traceback}")
        text = traceback.read_text()
        assert 'raise KeyError("labels")' in text
        assert "natrl/evaluation" not in text


def another(network: nn.Module) -> nn.Module:
    return nn.Linear(2, 2)


def text(network: nn.Module) -> str:
    return "done"


def diverges(network: nn.Module) -> None:
    raise FloatingPointError("loss is nan")


@pytest.mark.parametrize(
    ("tune", "said"),
    [
        (another, r"tune\(network\) must leave the network as it is but for its weights"),
        (text, r"tune\(network\) must return None or the network, it returned str"),
        (diverges, r"tune\(network\) raised FloatingPointError: loss is nan"),
    ],
)
def test_a_training_that_breaks_the_network_is_named(ray_session: None, tune: object, said: str) -> None:
    from natrl.tuning.optimize.tasks import _tuned

    with pytest.raises(FunctionError, match=said) as caught:
        _tuned(Outputs(), (right_answers, tune))
    travelled = pickle.loads(pickle.dumps(caught.value))
    assert ("in diverges" in travelled.traceback) == (tune is diverges)


def test_functions_are_known_by_their_code_or_by_a_key() -> None:
    model = Outputs()
    given = (model, None, {}, right_answers, own_training, EXAMPLE, None, TINY)
    (space, plain), (_, keyed) = space_and_task(*given), space_and_task(*given, "right answers, 1")
    assert {"score", "tune"} <= plain.identity().keys()
    assert (keyed.identity()["score"], keyed.identity()["tune"]) == ("right answers, 1", "right answers, 1")
    assert plain.identity()["score"] == digest(right_answers)
    scores = [ScoreEvaluator(space, s, EXAMPLE, Scale(0, 1), key="1").settings() for s in (right_answers, broken)]
    assert scores[0] == scores[1] != ScoreEvaluator(space, right_answers, EXAMPLE, Scale(0, 1)).settings()
    with pytest.raises(ValueError, match="key is what functions of yours are known by: leave it out with data"):
        optimize(trained(), data="digits", key="1", budget={"madds": "70%"})


def stops_computing(network: nn.Module) -> None:
    """Changes what is no weight, and is not kept."""
    network.forward = lambda images, factor: {"logits": torch.zeros(len(images), 10)}  # type: ignore[method-assign]


def test_the_score_is_of_the_weights_that_are_kept(ray_session: None) -> None:
    from natrl.tuning.optimize.tasks import _tuned

    assert _tuned(Outputs(), (right_answers, stops_computing)).score == scored(right_answers, Outputs())


@pytest.mark.parametrize("value", [np.float32(2.5), torch.tensor(2.5), 2.5, np.array(2.5)])
def test_numbers_of_every_kind(value: object) -> None:
    assert scored(lambda _: value, nn.Identity()) == 2.5  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("value", [True, None, np.zeros(2), torch.ones(1, 1), float("inf"), [1.0]])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(ScoreError, match="must return a finite number"):
        scored(lambda _: value, nn.Identity())  # type: ignore[arg-type, return-value]


def test_a_scale_is_a_share_of_what_there_is_to_lose() -> None:
    scale = Scale(low=-3.0, original=-1.0)
    assert [scale.share(s) for s in (-9.0, -3.0, -2.0, -1.0, -0.5, 7.0)] == [
        0.0,
        0.0,
        ORIGINAL / 2,
        ORIGINAL,
        1.0,
        1.0,
    ]


def test_a_score_that_is_not_repeatable_is_said(ray_session: None) -> None:
    from natrl.tuning.optimize.tasks import OwnTask

    rng = np.random.default_rng(0)
    task = OwnTask(Outputs(), lambda _: rng.normal(), None, EXAMPLE, None)
    assert "when asked again: smaller differences are chance" in task.original(Outputs())
    assert measure_original(trained(), digits()).accuracy > 0.8
