"""Distillation against its formula, and what it does in training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from natrl.training.distillation import Distillation


class Fixed(nn.Module):
    """Gives the same logits for every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return self.logits.expand(len(images), -1)


class Constant(nn.Module):
    """Gives these logits for everything."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


def test_the_loss_is_hintons() -> None:
    """By hand for two classes: teacher logits (2 ln 3, 0) at T = 2 are (3/4, 1/4), the student's (0, 0) are halves."""
    teacher = Fixed([2 * math.log(3), 0.0])
    images, student = torch.ones(5, 1, 2, 2), torch.zeros(5, 2, requires_grad=True)
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    loss = Distillation(teacher, weight=0.25, temperature=2.0).loss(images, student, torch.tensor(1.5))
    assert loss.item() == pytest.approx(0.75 * 1.5 + 0.25 * 4 * divergence)
    loss.backward()
    assert teacher.logits.grad is None
    assert student.grad is not None


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 0.25), (0.15, 0.125), (0.3, 0.0), (1.0, 0.0)])
def test_the_teacher_leaves(progress: float, weight: float) -> None:
    distillation = Distillation(Fixed([1.0, 0.0]), weight=0.25, until=0.3)
    student, on_labels = torch.zeros(2, 2), torch.tensor(1.5)
    alone = Distillation(distillation.teacher, weight=1.0).loss(torch.ones(2), student, on_labels).item()
    found = distillation.loss(torch.ones(2), student, on_labels, progress).item()
    assert found == pytest.approx((1 - weight) * 1.5 + weight * alone)


def test_pixels_count_as_so_many_images() -> None:
    """Logits (2, 3, 4, 5) of pixels give the loss of the same ones as 40 images."""
    taught, said = torch.randn(2, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).unbind()
    places = [logits.permute(0, 2, 3, 1).reshape(40, 3) for logits in (taught, said)]
    found = [
        Distillation(Constant(teacher), weight=1.0).loss(torch.zeros(1), student, torch.zeros(())).item()
        for teacher, student in ((taught, said), places)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_student_learns_the_teachers_answers_without_labels() -> None:
    teacher, student = Fixed([1.0, 0.0, -1.0]), torch.zeros(1, 3, requires_grad=True)
    distillation = Distillation(teacher, weight=1.0)
    optimizer = torch.optim.SGD([student], 1.0)
    for _ in range(200):
        optimizer.zero_grad()
        distillation.loss(torch.ones(1, 1), student, torch.tensor(0.0)).backward()
        optimizer.step()
    torch.testing.assert_close(student.softmax(1)[0], teacher.logits.softmax(0), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("weight", "temperature", "named"), [(1.5, 1.0, "weight"), (0.5, 0.0, "temperature")])
def test_numbers_out_of_range_are_refused(weight: float, temperature: float, named: str) -> None:
    with pytest.raises(ValueError, match=f"distillation: {named} must"):
        Distillation(nn.Identity(), weight, temperature)
