"""What an optimization was asked for: another network, data or policy is another request."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn, Tensor

from natrl.data import ImageData, load_data
from natrl.modules.importing import from_module
from natrl.policies import Policy
from natrl.policies.budget import Budget
from natrl.policies.limits import Limits
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.runs.directory import OPTIMIZATION
from natrl.tuning.modules import OptimizeSettings
from natrl.tuning.modules.journal import Journal, request
from tests.modules.trained import digits, Residual


class Gelu(Residual):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.gelu(x))


def gelu() -> Gelu:
    torch.manual_seed(0)
    return Gelu()


def asked(
    model: nn.Module | None = None,
    data: ImageData | None = None,
    settings: OptimizeSettings | None = None,
    policy: Policy | None = None,
) -> dict:
    torch.manual_seed(0)
    data = data or digits()
    space = from_module(model or Residual(), torch.zeros(2, 1, data.image_size, data.image_size))
    return request(space, data, Limits(madds="80%"), settings or OptimizeSettings(), policy)


def policy(seed: int) -> Policy:
    torch.manual_seed(seed)
    space = from_module(Residual(), torch.zeros(2, 1, 8, 8))
    return Policy(PolicyNetwork(PolicyConfig(primitives=space.primitives)), space)


def test_another_network_data_or_policy_is_another_request() -> None:
    requests = [
        asked(),
        asked(gelu()),
        asked(data=load_data("digits", image_size=16)),
        asked(data=load_data("digits", seed=3)),
        asked(settings=OptimizeSettings(seed=1)),
        asked(policy=policy(0)),
        asked(policy=policy(1)),
    ]
    assert len({json.dumps(r) for r in requests}) == len(requests)
    assert asked() == asked(settings=OptimizeSettings(actors=4)) == requests[0], "not on what it runs"
    assert requests[1]["weights"] == requests[0]["weights"]
    assert asked(data=replace(digits(), test=digits().validation)) == requests[0], "test images are not looked at"


def test_what_differs_is_named(tmp_path: Path) -> None:
    Journal.begin(tmp_path, asked(), Budget()).keep_steps(0)
    assert Journal.resume(tmp_path, asked()).steps == 0
    for other, difference in (
        (asked(gelu()), "another network;"),
        (asked(data=load_data("digits", seed=3)), "another images;"),
        (asked(settings=OptimizeSettings(seed=1)), r"another seed \(0 then, 1 now\)"),
    ):
        with pytest.raises(ValueError, match=f"was begun with {difference}") as caught:
            Journal.resume(tmp_path, other | {"model": "Residual"})
        assert "\n" not in str(caught.value)


def test_what_an_older_natrl_began_is_refused_in_one_line(tmp_path: Path) -> None:
    Journal.begin(tmp_path, asked(), Budget()).keep_steps(0)
    document = json.loads((tmp_path / OPTIMIZATION).read_text())
    del document["network"]
    (tmp_path / OPTIMIZATION).write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"begun by an older natrl, .* its network: begin anew in another directory"):
        Journal.resume(tmp_path, asked())


def test_more_iterations_are_taken_up_and_fewer_are_not(tmp_path: Path) -> None:
    Journal.begin(tmp_path, asked(), Budget()).keep_steps(0)
    few = OptimizeSettings()
    more = replace(few, learn=replace(few.learn, iterations=few.learn.iterations + 8))
    Journal.resume(tmp_path, asked(settings=more)).keep_steps(0)
    assert json.loads((tmp_path / OPTIMIZATION).read_text())["settings"]["learn"]["iterations"] == 24
    with pytest.raises(ValueError, match=r"another learn.iterations \(24 then, 16 now\).*iterations can be added"):
        Journal.resume(tmp_path, asked())
