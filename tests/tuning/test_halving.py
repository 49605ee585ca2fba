"""Which finalist is trained to the end, by a training that says what it was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import nn

from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.training.fine_tuning import state_of, Tuned
from natrl.tuning.finalists import Finalist
from natrl.tuning.optimize import OptimizeSettings
from natrl.tuning.optimize.halving import Halving
from tests.modules.trained import Residual


class Training:
    """Counts epochs in a bias, and gives each network its score."""

    def __init__(self, scores: dict[str, float], has_epochs: bool = True) -> None:
        self.trains, self.has_epochs, self.asked = True, has_epochs, []
        self._scores = scores

    def tune(self, networks, settings, original, on_result):
        found = []
        for index, network in enumerate(networks):
            name = getattr(network, "name", "original")
            self.asked.append((name, settings.fine_tuning.epochs, network.classifier.bias[0].item()))
            with torch.no_grad():
                network.classifier.bias += settings.fine_tuning.epochs
            found.append(Tuned(state_of(network), self._scores.get(name, 1.0)))
            on_result(index, found[-1])
        return found


@pytest.fixture
def space() -> ModuleSpace:
    return from_module(Residual(), torch.zeros(2, 1, 8, 8))


@pytest.fixture
def finalists(space: ModuleSpace) -> list[Finalist]:
    rng = np.random.default_rng(0)
    found = []
    for name in "abcd":
        network = Residual()
        network.name = name
        with torch.no_grad():
            network.classifier.bias.zero_()
        found.append(Finalist(space.sample(rng), 0.5, network=network))
    assert len({f.architecture for f in found}) == 4
    return found


def best(
    space: ModuleSpace,
    finalists: list[Finalist],
    task: Training,
    run: Path,
    epochs: int = 5,
    tune_original: bool = False,
) -> tuple[Finalist, nn.Module | None]:
    settings = OptimizeSettings(tune_original=tune_original)
    settings = replace(settings, fine_tuning=replace(settings.fine_tuning, epochs=epochs))
    return Halving(space, task, run, Progress(disable=True)).best(finalists, settings)  # type: ignore[arg-type]


def test_all_are_trained_for_an_epoch_and_the_best_goes_on_from_there(space, finalists, tmp_path):
    task = Training({"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.0})
    found, alike = best(space, finalists, task, tmp_path)
    assert alike is None
    assert task.asked == [("a", 1, 0), ("b", 1, 0), ("c", 1, 0), ("d", 1, 0), ("b", 4, 1)]
    assert (found.architecture, found.validation) == (finalists[1].architecture, (0.3,))
    assert found.network.classifier.bias[0] == 5


def test_the_original_is_trained_alike_and_never_chosen(space, finalists, tmp_path):
    with torch.no_grad():
        space.model.classifier.bias.zero_()
    task = Training({"a": 0.1, "b": 0.3})
    found, alike = best(space, finalists[:2], task, tmp_path, tune_original=True)
    assert task.asked == [("a", 1, 0), ("b", 1, 0), ("original", 1, 0), ("b", 4, 1), ("original", 4, 1)]
    assert found.architecture == finalists[1].architecture
    assert alike.classifier.bias[0] == 5
    assert space.model.classifier.bias[0] == 0
    task.trains = False
    assert best(space, finalists[:2], task, tmp_path / "other", tune_original=True)[1] is None


def test_what_was_trained_is_not_again(space, finalists, tmp_path):
    scores = {"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.0}
    first, _ = best(space, finalists, Training(scores), tmp_path)
    for file in tmp_path.glob("finalists/*.safetensors"):
        file.unlink()  # it was killed in the long training
    for finalist in finalists:
        with torch.no_grad():
            finalist.network.classifier.bias.zero_()
    task = Training(scores)
    again, _ = best(space, finalists, task, tmp_path)
    assert task.asked == [("b", 4, 1)]
    torch.testing.assert_close(dict(again.network.state_dict()), dict(first.network.state_dict()))
    task = Training(scores)
    best(space, finalists, task, tmp_path)
    assert task.asked == []


@pytest.mark.parametrize(
    ("has_epochs", "epochs", "count", "asked"),
    [(True, 1, 4, "abcd"), (True, 5, 1, "a"), (False, 5, 4, "ab"), (False, 5, 1, "a")],
    ids=["one epoch", "one finalist", "no epochs", "one without epochs"],
)
def test_where_nothing_can_be_halved_they_are_trained_to_the_end(
    space, finalists, tmp_path, has_epochs, epochs, count, asked
):
    task = Training(dict.fromkeys("abcd", 0.5), has_epochs)
    best(space, finalists[:count], task, tmp_path, epochs)
    assert task.asked == [(name, epochs, 0) for name in asked]
