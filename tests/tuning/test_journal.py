"""What an optimization was asked for: another network, data or policy is another request; a user's own traceback."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn, Tensor

from natrl.checks.errors import for_users
from natrl.data import ImageData, load_data
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.user_code import FunctionError
from natrl.modules.importing import from_module
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.runs.directory import create_run, NETWORK, read_config
from natrl.spaces.budget import Budget
from natrl.tuning.optimize import journal, OptimizeSettings
from natrl.tuning.optimize.journal import begun_document, found_before, kept_traceback, request
from natrl.tuning.optimize.tasks import ImageTask
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
    task = ImageTask(space.model, data, space.example[0], None)
    return request(space, task, Limits(madds="80%"), settings or OptimizeSettings(), policy)


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
    on_actors = OptimizeSettings(evaluator=EvaluatorSpec(reward="inherited", actors=4))
    assert asked() == asked(settings=on_actors) == requests[0], "not on what it runs"
    assert requests[1]["weights"] == requests[0]["weights"]
    assert asked(data=replace(digits(), test=digits().validation)) == requests[0], "test images are not looked at"


def begun(run: Path, asked: dict) -> Path:
    """As `optimize` writes it down."""
    found = replace(OptimizeSettings(), budget=Budget(madds=1e6), evaluator=EvaluatorSpec(reward="inherited", steps=3))
    return create_run(run, found.run, "natrl optimize", **{NETWORK: asked})


def test_what_was_found_out_is_known_again(tmp_path: Path) -> None:
    document = begun_document(begun(tmp_path, asked()), asked())
    assert found_before(tmp_path, document) == (Budget(madds=1e6), 3)
    assert document["settings"] == read_config(tmp_path)["settings"], "it is a run"
    document["settings"]["budget"] = {"madds": "x"}
    with pytest.raises(ValueError, match=r"config\.json: budget: madds must be a number"):
        found_before(tmp_path, document)


def test_what_differs_is_named(tmp_path: Path) -> None:
    begun(tmp_path, asked())
    for other, difference in (
        (asked(gelu()), "another network;"),
        (asked(data=load_data("digits", seed=3)), "another images;"),
        (asked(settings=OptimizeSettings(seed=1)), r"another seed \(0 then, 1 now\)"),
    ):
        with pytest.raises(ValueError, match=f"was begun with {difference}") as caught:
            begun_document(tmp_path, other | {"model": "Residual"})
        assert "\n" not in str(caught.value)


def test_what_an_older_natrl_began_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "optimize.json").write_text("{}")
    with pytest.raises(ValueError, match=r"begun by an older natrl, .*: begin anew in another directory"):
        begun_document(tmp_path, asked())


def test_more_iterations_are_taken_up_and_fewer_are_not(tmp_path: Path) -> None:
    few = OptimizeSettings()
    more = replace(few, learn=replace(few.learn, iterations=few.learn.iterations + 8))
    begun_document(begun(tmp_path / "few", asked()), asked(settings=more))
    with pytest.raises(ValueError, match=r"another learn.iterations \(68 then, 60 now\).*iterations can be added"):
        begun_document(begun(tmp_path / "more", asked(settings=more)), asked())


def test_a_training_that_failed_can_be_mended_until_one_has_trained(tmp_path: Path) -> None:
    then = asked() | {"score": "1", "tune": "2"}
    create_run(tmp_path / "out", OptimizeSettings().run, "natrl optimize", **{NETWORK: then})
    begun_document(tmp_path / "out", then | {"tune": "3"})
    with pytest.raises(ValueError, match="another score"):
        begun_document(tmp_path / "out", then | {"score": "4"})
    (tmp_path / "out" / "finalists").mkdir()
    with pytest.raises(ValueError, match="was begun with another tune; give what"):
        begun_document(tmp_path / "out", then | {"tune": "3"})


def failing() -> None:
    try:
        {}["labels"]
    except KeyError as error:
        raise FunctionError("tune(network) raised KeyError: 'labels'", error) from error


@pytest.mark.parametrize("begun", [True, False])
def test_a_traceback_is_kept_in_the_run_or_beside_one_that_is_free_for_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    run = tmp_path / "out"
    run.mkdir()
    monkeypatch.setattr(journal, "is_worth_keeping", lambda _: begun)
    file = run / "traceback.txt" if begun else tmp_path / "out-traceback.txt"
    with (
        pytest.raises(ValueError, match=f"raised KeyError: 'labels'; its traceback is in {file}") as caught,
        kept_traceback(run),
    ):
        failing()
    assert "KeyError: 'labels'" in file.read_text()
    assert for_users(caught.value)
    assert [path.name for path in run.iterdir()] == ["traceback.txt"] * begun


def test_an_error_without_a_traceback_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match=r"it returned str$"), kept_traceback(tmp_path / "out"):
        raise FunctionError("tune(network) must return None or the network, it returned str")
    assert not [*tmp_path.iterdir()]
