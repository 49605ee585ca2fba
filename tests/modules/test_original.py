"""Before anything is made of a network it is measured: wrongly prepared images, other classes and lost weights show."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn, Tensor
from torch.utils.data import TensorDataset

import natrl
from natrl.data import ImageData, load_data
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.modules.original import check_accuracy, check_outputs, expected_accuracy, measure_original, told
from natrl.training.fitting import fit, measure, Measured
from natrl.training.schedule import Schedule
from tests.modules.trained import digits, Residual, trained


class Plain(nn.Module):
    """Without a batch-norm behind its stem: how inputs are scaled matters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, padding=1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(256, 10)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@cache
def unscaled() -> Plain:
    """Trained on images in [0, 1]: about a second."""
    torch.manual_seed(0)
    model = Plain()
    data = load_data("digits", mean="none")
    fit(model, data, Schedule(epochs=6, batch_size=50, learning_rate=0.1, warmup=0.1), seed=0, device="cpu")
    return model.eval()


def with_classes(n: int) -> ImageData:
    return replace(digits(), num_classes=n, class_names=tuple(map(str, range(n))))


def test_the_original_is_measured_as_it_is_and_left_alone() -> None:
    model = unscaled()
    data = load_data("digits", mean="none")
    found = measure_original(model, data)
    assert found.accuracy == measure(model, data.validation).accuracy > 0.8
    assert told(found) == f"the original: {found.accuracy:.1%} on 450 validation images"
    check_accuracy(found, data, None)
    check_accuracy(found, data, round(found.accuracy, 3))
    with pytest.raises(ValueError, match=r"on 450 validation images, below the 99\.9% .*; likely reasons: images are"):
        check_accuracy(found, data, 0.999)


def test_images_that_are_shifted_in_another_way_show() -> None:
    """mean/std where the network was trained on [0, 255] or the like: what it says is worth nothing."""
    wrong = load_data("digits", mean=300.0, std=1.0)
    with pytest.raises(
        ValueError, match=r"near guessing \(0\.1\); likely reasons: .*expect_accuracy 0 goes on"
    ) as caught:
        check_accuracy(measure_original(unscaled(), wrong), wrong, None)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "accuracy", "images", "predicted", "stops"),
    [
        (10, 0.119, 450, 10, True),  # [0, 1] through natrl's normalisation
        (10, 0.119, 12_000, 10, True),
        (10, 0.18, 450, 10, True),
        (10, 0.22, 450, 10, False),
        (10, 0.83, 450, 10, False),
        (2, 0.52, 450, 2, True),
        (2, 0.65, 450, 2, False),
        (2, 0.9, 450, 1, True),  # nine of ten images are of one class, and the network names no other
        (1000, 0.001, 50_000, 300, True),
        (1000, 0.08, 50_000, 900, False),
        (3, 0.5, 12, 3, True),  # twelve images say nothing
    ],
)
def test_what_is_near_guessing(classes: int, accuracy: float, images: int, predicted: int, stops: bool) -> None:
    found, data = Measured(accuracy, 1.0, images, predicted), with_classes(classes)
    check_accuracy(found, data, 0.0)
    if stops:
        with pytest.raises(ValueError, match="near guessing"):
            check_accuracy(found, data, None)
    else:
        check_accuracy(found, data, None)


@pytest.mark.parametrize(
    ("given", "value"), [(None, None), (0.83, 0.83), ("83%", 0.83), ("0.83", 0.83), (1, 1.0), ("0", 0.0)]
)
def test_an_expected_accuracy_is_a_share(given: float | str | None, value: float | None) -> None:
    assert expected_accuracy(given) == value


@pytest.mark.parametrize("given", [83, "83", -0.1, "high", float("nan"), True, "101%"])
def test_others_are_refused(given: float | str) -> None:
    with pytest.raises(ValueError, match=r'an expected accuracy is a share such as 0\.83 or "83%", got'):
        expected_accuracy(given)


@pytest.mark.parametrize("outputs", [1, 9, 11, 1000])
def test_outputs_and_classes_must_agree(outputs: int) -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs))
    with pytest.raises(ValueError, match=rf"\(N, 10\) for data 'digits'; it gives shape \(2, {outputs}\)"):
        check_outputs(network, torch.zeros(2, 1, 8, 8), digits())
    with pytest.raises(ValueError, match=r"it gives tuple"):
        check_outputs(Pair(), torch.zeros(2, 1, 8, 8), digits())


@pytest.mark.parametrize("evaluator", [InheritedEvaluator, SupernetEvaluator])
def test_no_evaluator_scores_a_network_of_other_classes(evaluator: type) -> None:
    space = natrl.from_module(trained(), torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"\(N, 9\) for data 'digits'; it gives shape \(2, 10\)"):
        evaluator(space, with_classes(9))


class Pair(Residual):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(x), x


def test_numbers_that_are_not_finite_are_told() -> None:
    broken = Residual()
    with torch.no_grad():
        broken.classifier.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="gives numbers that are not finite on validation images; likely reasons"):
        measure_original(broken, digits())


def test_optimize_stops_before_anything_starts(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of Ray is touched."""
    monkeypatch.setattr("natrl.tuning.optimize.run.ray_session", None)
    arguments = {"budget": {"madds": "80%"}, "out": f"{tmp_path}/out"}
    with pytest.raises(ValueError, match="near guessing"):
        natrl.optimize(Residual(), data="digits", **arguments)
    with pytest.raises(ValueError, match=r"below the 99\.9% that were expected"):
        natrl.optimize(trained(), data=digits(), expect_accuracy="99.9%", **arguments)
    with pytest.raises(ValueError, match="near guessing"):
        natrl.optimize(unscaled(), data="digits", mean=300, std=1, **arguments)
    with pytest.raises(ValueError, match="comes prepared"):
        natrl.optimize(trained(), data=digits(), mean="none", **arguments)
    shuffled = torch.roll(digits().validation.tensors[1], 1) * 3 % 10
    other = replace(digits(), validation=TensorDataset(digits().validation.tensors[0], shuffled))
    with pytest.raises(ValueError, match="the order of the classes"):
        natrl.optimize(trained(), data=other, **arguments)
    assert not list(tmp_path.iterdir())  # type: ignore[attr-defined]
