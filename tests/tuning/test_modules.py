"""natrl.optimize on a tiny network: a policy, finalists, fine-tuning, files."""

from __future__ import annotations

import json
import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

import natrl
from natrl.modules.storage import load_module
from natrl.networks.schedule import Schedule
from natrl.networks.training import measure
from natrl.rllib.settings import LearnSettings
from natrl.tuning.modules import optimize, OptimizeSettings
from tests.modules.trained import digits, Residual, trained

TINY = OptimizeSettings(
    learn=LearnSettings(iterations=2, batch_size=4, minibatch_size=4),
    candidates=2,
    finalists=2,
    fine_tuning=Schedule(epochs=1, batch_size=50, learning_rate=0.02),
    reference_images=64,
    validation_images=64,
    steps=0,
)


class Watched(TensorDataset):
    """A test split that counts what this process reads of it, and that no other process may read."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        super().__init__(*tensors)
        self.owner, self.read = os.getpid(), 0

    def __getitem__(self, index: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert os.getpid() == self.owner, "test data was read outside"
        self.read += len(index)
        return super().__getitem__(index)


def test_a_network_within_its_budget_of_the_same_class(ray_session: None, tmp_path: Path) -> None:
    """A policy in two updates and two fine-tunings on Ray: about ten seconds."""
    model, test = deepcopy(trained()), Watched(*digits().test.tensors)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = optimize(
        model,
        data=replace(digits(), test=test),
        budget={"madds": "70%", "latency": "1000%"},
        out=tmp_path / "out",
        settings=TINY,
    )
    assert isinstance(found.model, Residual)
    assert found.model.hello() == "hello"
    assert test.read == 2 * len(test)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    space, after = found.space, found.after
    assert after.cost == space.cost(found.architecture)
    assert after.cost.madds <= 0.7 * found.before.cost.madds
    assert found.before.test_accuracy == measure(trained(), digits().test).accuracy
    assert after.test_accuracy == measure(found.model, digits().test).accuracy
    assert after.validation_accuracy > 0.5
    changed = [layer for layer in found.layers if layer.changed]
    saved = sum(layer.cost.madds - layer.new_cost.madds for layer in changed)
    assert saved == found.before.cost.madds - after.cost.madds > 0
    assert found.table().row_count == len(found.layers) + 1
    assert f"{after.test_accuracy:.2%}" in found.summary()

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["after"]["cost"]["madds"] == after.cost.madds
    images = digits().test.tensors[0][:4]
    restored = load_module(Residual(), images, tmp_path / "out")
    torch.testing.assert_close(dict(restored.state_dict()), dict(found.model.state_dict()), rtol=0, atol=0)
    torch.testing.assert_close(restored.eval()(images), found.model(images))
    with pytest.raises(ValueError, match=r"does not fit Residual|not one of Residual"):
        load_module(Residual(channels=4), images, tmp_path / "out")
    with pytest.raises(ValueError, match=r"exists and is not empty"):
        optimize(model, data=digits(), budget={"madds": "70%"}, out=tmp_path / "out", settings=TINY)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"madds": 10}, "the smallest reachable cost is [0-9,]+ MAdds"),
        ({"latency": 1e-9}, r"no transformation takes at most 1e-06 ms .* the original"),
        ({"energy": 1}, "unknown budget 'energy'"),
    ],
)
def test_a_budget_that_nothing_satisfies_is_refused_before_anything_is_trained(
    budget: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        natrl.optimize(trained(), data=digits(), budget=budget, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_without_a_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no network: choice.json cannot be read"):
        load_module(trained(), torch.zeros(1, 1, 8, 8), tmp_path)
