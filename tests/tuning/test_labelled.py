"""natrl.optimize by a score that has a name, on data with labels of all kinds."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, TensorDataset

from natrl.data import Examples
from natrl.evaluation.scores import NamedScore, SCORES
from natrl.training.fitting import measure
from natrl.training.schedule import Schedule
from natrl.tuning.optimize import optimize, OptimizeSettings
from natrl.tuning.optimize.given import space_and_task
from natrl.tuning.optimize.labelled import LabelledTask, Training
from natrl.tuning.optimize.tasks import _tuned
from tests.commands.cli import error, output
from tests.modules.trained import digits, trained
from tests.tuning.test_modules import TINY

NOTHING = {"mean": None, "std": None, "transform": None}
SETTINGS = replace(TINY, fine_tuning=Schedule(epochs=20, batch_size=10, optimizer="adamw", learning_rate=0.02))


class Network(nn.Module):
    """Five-by-five convolutions; what they see of an image on average, or at each pixel."""

    def __init__(self, outputs: int, *, dense: bool = False, flat: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.head, self.dense, self.flat = nn.Conv2d(6, outputs, 1), dense, flat

    def forward(self, images: Tensor) -> Any:
        found = self.head(self.body(images))
        if self.dense:
            return {"out": found, "aux": images}
        return found.mean((2, 3))[:, 0] if self.flat else found.mean((2, 3))


IMAGES = (
    torch.rand(200, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    * torch.linspace(0, 2, 200)[:, None, None, None]
)
BRIGHTNESS = IMAGES.mean((1, 2, 3))
SQUARE = IMAGES[..., 1:7]
KINDS = {
    "balanced_accuracy": (SQUARE, (BRIGHTNESS > 0.8).long(), Network(2)),
    "macro_f1": (SQUARE, (BRIGHTNESS > 0.8).long(), Network(2)),
    "multilabel_ap": (IMAGES, torch.stack([BRIGHTNESS > 0.3, BRIGHTNESS > 0.7], 1), Network(2)),
    "multilabel_f1": (IMAGES, torch.stack([BRIGHTNESS > 0.3, BRIGHTNESS > 0.7], 1), Network(2)),
    "r2": (IMAGES, BRIGHTNESS, Network(1, flat=True)),
    "mean_iou": (IMAGES, (IMAGES[:, 0] > 0.5).long(), Network(2, dense=True)),
}


def parts(inputs: Tensor, labels: Tensor) -> tuple[TensorDataset, ...]:
    return tuple(TensorDataset(inputs[start::4], labels[start::4]) for start in (0, 2, 3))


def task_of(name: Any, data: Any, model: nn.Module, settings: OptimizeSettings = SETTINGS) -> LabelledTask:
    _, task = space_and_task(model, data, NOTHING, name, None, None, None, settings)
    assert isinstance(task, LabelledTask)
    return task


@pytest.mark.parametrize("name", KINDS)
def test_each_score_rises_by_training_with_its_loss(name: str) -> None:
    """Two hundred images: a second for all."""
    inputs, labels, model = KINDS[name]
    data = tuple(DataLoader(part, 10) for part in parts(inputs, labels))
    task = task_of(name, data, model)
    task.expected = -9.0
    assert task.original(model).startswith(f"the original: {name} ")
    before, tested = task.figures(model)
    training = task.training(replace(SETTINGS, distill=False), model)
    tuned = _tuned(copy.deepcopy(model), (task.score, training))
    after = task.figures(tuned.load_into(copy.deepcopy(model)))
    assert tuned.score == pytest.approx(after[0])
    assert after[0] > max(before, 0.8)
    assert after[1] is not None
    assert tested is not None
    assert after[1] > tested
    task.expected = None
    assert task.original(tuned.load_into(copy.deepcopy(model))).startswith(f"the original: {name} ")
    blind = Network(len(model.head.weight), dense=model.dense, flat=model.flat)
    nn.init.zeros_(blind.head.weight)
    with pytest.raises(
        ValueError, match=r"no better than its answers to other examples .* expect_accuracy goes on all"
    ):
        task.original(blind)


@pytest.mark.parametrize("name", KINDS)
def test_only_classes_are_learned_from_the_original(name: str) -> None:
    inputs, labels, model = KINDS[name]
    training = task_of(name, parts(inputs, labels), model).training(SETTINGS, model)
    assert isinstance(training, Training)
    assert (training.teacher is not None) == (SCORES.get(name).labels in ("classes", "pixels"))
    assert len(training.data.test) == len(training.data.validation) == 0  # type: ignore[arg-type]
    short = replace(training, settings=replace(SETTINGS, fine_tuning=replace(SETTINGS.fine_tuning, epochs=1)))
    plain = replace(short, teacher=None)
    networks = [copy.deepcopy(model) for _ in range(2)]
    for network, train in zip(networks, (short, plain), strict=True):
        train(network)
    assert torch.equal(networks[0].head.weight, networks[1].head.weight) == (training.teacher is None)


def test_rare_classes_count_in_the_loss_as_much_as_others() -> None:
    inputs, labels, model = KINDS["macro_f1"]
    data = parts(inputs, labels)
    rare = int(data[0].tensors[1].sum())
    assert task_of("macro_f1", data, model).weights == pytest.approx((50 / 2 / (50 - rare), 50 / 2 / rare))
    given = replace(SETTINGS, class_weights="1,7")
    assert given.class_weights == (1, 7)
    assert task_of("macro_f1", data, model, given).weights == (1, 7)
    assert OptimizeSettings.from_dict(given.to_dict()) == given


def test_images_with_classes_are_prepared_as_without_a_score() -> None:
    """Digits by name: the same splits, whose accuracy is nearly the balanced one, since classes are as frequent."""
    task = task_of("balanced_accuracy", "digits", trained())
    assert task.data.digest == digits().digest
    assert task.figures(trained())[0] == pytest.approx(measure(trained(), digits().validation).accuracy, abs=0.01)
    few = task.searched(SETTINGS)
    assert len(few.dataset) == 64  # type: ignore[attr-defined]


def test_inputs_with_classes_that_are_no_square_images() -> None:
    """As they come, where the user says what is what; so are labels that no item of a data set in memory shows."""
    labels = (BRIGHTNESS > 0.8).long()
    part = TensorDataset(IMAGES, labels)
    task = task_of("balanced_accuracy", Examples("mine", part, part, part), Network(2))
    assert 0 <= task.figures(Network(2))[0] <= 1
    frequent = labels.double().mean().item()
    assert task.weights == pytest.approx((0.5 / (1 - frequent), 0.5 / frequent))
    more = TensorDataset(IMAGES, torch.arange(200) % 3)
    with pytest.raises(ValueError, match="training labels reach 2, and the network gives 2 classes"):
        task_of("balanced_accuracy", Examples("mine", more, part, part), Network(2))


def test_of_ones_own() -> None:
    """A record that is an object: the share of numbers that are nearly right."""

    def near(batches: Any) -> float:
        return float(np.concatenate([((o - y).abs() < 0.1).numpy() for o, y in batches]).mean())

    inputs, labels, model = KINDS["r2"]
    mine = NamedScore("near", "numbers", near, lambda outputs, labels, weights: nn.functional.l1_loss(outputs, labels))
    task = task_of(mine, parts(inputs, labels), model)
    assert task.measured == "near"
    assert 0 <= task.figures(model)[0] <= 1
    other = replace(mine, loss=lambda outputs, labels, weights: nn.functional.mse_loss(outputs, labels))
    assert task.identity() != task_of(other, parts(inputs, labels), model).identity()


@pytest.mark.parametrize(
    ("score", "data", "changes", "said"),
    [
        (
            "r2",
            parts(SQUARE, (BRIGHTNESS > 1).long()),
            {},
            "score 'r2': data 'own data': labels must be finite floating-po",
        ),
        ("balanced_accuracy", parts(SQUARE, BRIGHTNESS), {}, "labels must be a class for each image"),
        ("mean_iou", parts(IMAGES, BRIGHTNESS), {}, "score 'mean_iou': .* labels must be a class for each pixel"),
        (
            "mean_iou",
            parts(IMAGES, (IMAGES[:, 0] > 0.5).long()),
            {},
            r"Network must give .*\(N, C, H, W\), .* \(2, 2\)",
        ),
        ("r2", parts(IMAGES, BRIGHTNESS), {}, r"Network must give as many numbers, .* it gives shape \(2, 2\)"),
        (
            "balanced_accuracy",
            "digits",
            {},
            "one number for each image and class, \\(N, 10\\) for data 'digits'; it gives shape \\(2, 2\\)",
        ),
        ("accuracy", "digits", {}, "unknown score 'accuracy'; known: balanced_accuracy"),
        (len, "digits", {}, "score measures networks on data of its own: .*; with data it is one with a name"),
        ("r2", None, {}, "score 'r2' needs data"),
        (SCORES.get("r2"), None, {}, "score 'r2' needs data"),
        ("r2", parts(IMAGES, BRIGHTNESS), {"mean": 0.5}, "score 'r2' takes inputs as they come"),
        ("r2", parts(IMAGES, BRIGHTNESS), {"tune": len}, "tune goes with score, a function of yours"),
        (
            "r2",
            parts(IMAGES, BRIGHTNESS),
            {"expect_accuracy": "90%"},
            "expect_accuracy is a number that score can give",
        ),
        (
            "multilabel_ap",
            parts(*KINDS["multilabel_ap"][:2]),
            {"settings": replace(TINY, class_weights=(1, 2))},
            "class_weights: the loss of score 'multilabel_ap' knows no classes",
        ),
        (
            "multilabel_ap",
            parts(*KINDS["multilabel_ap"][:2]),
            {"settings": replace(TINY, fine_tuning=replace(TINY.fine_tuning, label_smoothing=0.1))},
            "fine_tuning.label_smoothing is of training for accuracy",
        ),
        (None, "digits", {"settings": replace(TINY, class_weights=(1, 2))}, "class_weights go with data and a named"),
        (
            "multilabel_f1",
            parts(*KINDS["multilabel_f1"][:2]),
            {"expect_accuracy": 1.5},
            "the original: multilabel_f1 .* below the 1.5 expected",
        ),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_is_paid_for(
    tmp_path: Path, score: Any, data: Any, changes: dict[str, Any], said: str
) -> None:
    given = {"settings": TINY, "out": tmp_path / "out", "budget": {"madds": "70%"}, "data": data, "score": score}
    with pytest.raises(ValueError, match=said) as caught:
        optimize(Network(2), **given | changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["1,x", (-1.0,), (0.0, 0.0), "1,nan"])
def test_weights_that_are_none(given: Any) -> None:
    with pytest.raises(ValueError, match="class_weights must be numbers of at least 0, such as 1,5,2"):
        OptimizeSettings(class_weights=given)


MODULE = """
import torch
from torch import nn
from torch.utils.data import TensorDataset

images = torch.rand(120, 1, 6, 8, generator=torch.Generator().manual_seed(0))
part = TensorDataset(images, (images[:, 0] > 0.5).long())

class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, images):
        return {"out": self.head(self.body(images))}

def data():
    return {"train": part, "validation": part}
"""


def test_the_command(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Segmentation, a policy in one update and three trainings, which learn from the original, too: eight seconds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "segmenting.py").write_text(MODULE)
    command = ["optimize", "segmenting:Segmenter", "--data", "segmenting:data", "--max-madds", "60%"]
    small = ["--iterations", 1, "-n", 2, "--epochs", 1, "--expect-accuracy", 0, "-o", "out"]
    named = ["--score", "mean_iou"]
    for more, said in (
        (["--score", "mean-iou"], "unknown score 'mean-iou'; known: balanced_accuracy"),
        ([*named, "--tune", "segmenting:data"], "--tune does not go with this: with --data, natrl trains"),
        ([*named, "--mean", "0.5"], "--mean does not go with this: score 'mean_iou' takes inputs as they come"),
        ([*named, "--expect-accuracy", "90%"], "--expect-accuracy is a number that --score can give"),
        ([*named, "--class-weights", "1,2,3"], "class_weights: 3 for 2 classes; give one each"),
    ):
        assert said in error(capsys, *command, *small, *more)
    printed = output(capsys, *command, *small, *named, "--class-weights", "1,2")
    assert "mean_iou: test 0." in printed
    out = tmp_path / "out"
    assert {"model.py", "model.safetensors", "report.html", "splits.json"} <= {file.name for file in out.iterdir()}
    assert "test mean_iou" in (out / "report.html").read_text()
    report = json.loads((out / "report.json").read_text())
    assert report["measured"] == "mean_iou"
    assert 0 < report["after"]["test_accuracy"] <= 1
    assert report["images"].startswith("segmenting:data: 120 training examples, 60 validation examples (half of")
    again = error(capsys, *command, *small, *named, "--class-weights", "1,3", "--resume")
    assert "was begun with another class_weights" in again
