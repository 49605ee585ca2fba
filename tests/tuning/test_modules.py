"""natrl.optimize on a tiny network: a policy, finalists, fine-tuning, files."""

from __future__ import annotations

import json
import os
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file
from torch.utils.data import TensorDataset

import natrl
from natrl.commands.networks import _network_and_data, Preparation
from natrl.data import load_data
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.ledger.file import read_ledger
from natrl.modules.references import PublishedNetwork
from natrl.modules.saved import load_module
from natrl.rllib.settings import LearnSettings
from natrl.runs.directory import ledger_file, results_file
from natrl.runs.metrics import last_result
from natrl.training.fine_tuning import fine_tune
from natrl.training.fitting import measure
from natrl.training.schedule import Schedule
from natrl.tuning.optimize import optimize, Optimized, OptimizeSettings
from tests.commands.cli import error, output
from tests.modules.trained import digits, Residual, trained
from tests.tuning.killing import kill_at, knows_a_checkpoint

TINY = OptimizeSettings(
    learn=LearnSettings(iterations=2, batch_size=4, minibatch_size=4),
    evaluator=EvaluatorSpec(reward="inherited", reference_images=64, score_images=64, steps=0),
    candidates=2,
    finalists=2,
    fine_tuning=Schedule(epochs=1, batch_size=50, learning_rate=0.02),
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


@pytest.fixture(scope="module")
def model() -> Residual:
    return deepcopy(trained())


@pytest.fixture(scope="module")
def test_split() -> Watched:
    return Watched(*digits().test.tensors)


@pytest.fixture(scope="module")
def found(
    ray_session: None, model: Residual, test_split: Watched, tmp_path_factory: pytest.TempPathFactory
) -> Optimized:
    """A policy in two updates and two fine-tunings on Ray: about ten seconds."""
    return optimize(
        model,
        data=replace(digits(), test=test_split),
        budget={"madds": "70%"},
        out=tmp_path_factory.mktemp("optimize") / "out",
        settings=TINY,
    )


def test_a_network_within_its_budget_of_the_same_class(found: Optimized, model: Residual, test_split: Watched) -> None:
    assert isinstance(found.model, Residual)
    assert found.model.hello() == "hello"
    # Once for the result, and the original with either statistics and fine-tuned alike.
    assert test_split.read == 4 * len(test_split)
    torch.testing.assert_close(dict(model.state_dict()), dict(trained().state_dict()), rtol=0, atol=0)
    before, after = found.before, found.after
    assert after.cost == found.space.cost(found.architecture)
    assert after.cost.madds <= 0.7 * before.cost.madds
    assert before.test_accuracy == measure(trained(), digits().test).accuracy
    alike = InheritedEvaluator(found.space, digits(), reference_images=64).inherit(found.space.architecture)
    assert found.recalibrated.test == measure(alike, digits().test).accuracy
    tuned = deepcopy(trained())
    fine_tune(tuned, digits(), TINY.fine_tuning, seed=0, teacher=trained(), device="cpu")
    assert found.tuned_original.test == measure(tuned, digits().test).accuracy
    assert after.test_accuracy == measure(found.model, digits().test).accuracy
    assert after.validation_accuracy > 0.3  # one epoch; guessing gives 0.1
    changed = [layer for layer in found.layers if layer.changed]
    saved = sum(layer.cost.madds - layer.new_cost.madds for layer in changed)
    assert saved == before.cost.madds - after.cost.madds > 0
    assert found.table().row_count == len(found.layers) + 1
    assert f"{after.test_accuracy:.2%}" in found.summary()
    assert "MAdds: kept, " in found.summary()


def test_the_network_comes_back_from_its_files(found: Optimized) -> None:
    report = json.loads((found.directory / "report.json").read_text())
    assert report["after"]["cost"]["madds"] == found.after.cost.madds
    images = digits().test.tensors[0][:4]
    names: dict = {"__name__": "model"}
    exec((found.directory / "model.py").read_text(), names)  # what a stranger has
    network = names["Network"]()
    network.load_state_dict(load_file(found.directory / "model.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images), found.model(images))
    restored = load_module(Residual(), images, found.directory)
    torch.testing.assert_close(dict(restored.state_dict()), dict(found.model.state_dict()), rtol=0, atol=0)
    torch.testing.assert_close(restored.eval()(images), found.model(images))
    with pytest.raises(ValueError, match="does not fit Residual"):
        load_module(Residual(channels=4), images, found.directory)
    with pytest.raises(ValueError, match="exists and is not empty"):
        optimize(trained(), data=digits(), budget={"madds": "70%"}, out=found.directory, settings=TINY)


# Not before it fine-tunes, however fast the machine is: it waits there.
UNTIL_KILLED = """
import sys, time
import natrl
from natrl.tuning.optimize import tasks
from tests.modules.trained import digits, trained
from tests.tuning.test_modules import TINY
tasks.fine_tune_all = lambda *_, **__: time.sleep(300)
natrl.optimize(trained(), data=digits(), budget={"madds": "70%"}, out=sys.argv[1], settings=TINY)
"""


def test_killed_and_resumed_equals_undisturbed(
    found: Optimized, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the policy's first checkpoint of two, before anything is fine-tuned: 20 seconds."""
    out = tmp_path / "out"
    given = {"data": digits(), "budget": {"madds": "70%"}, "out": out, "settings": TINY}
    kill_at(lambda: knows_a_checkpoint(out), UNTIL_KILLED, out)
    assert not (out / "report.json").exists()
    with pytest.raises(ValueError, match=r"was begun with another candidates \(2 then, 3 now\)"):
        optimize(trained(), **given | {"settings": replace(TINY, candidates=3)}, resume=True)
    with pytest.raises(ValueError, match="go on with what is there by resume"):
        optimize(trained(), **given)
    resumed = optimize(trained(), **given, resume=True)
    assert resumed.architecture == found.architecture
    assert (resumed.before.test_accuracy, resumed.after.test_accuracy) == (
        found.before.test_accuracy,
        found.after.test_accuracy,
    )
    assert results_file(out).read_text().count('"training_iteration": 1,') == 1, "it started anew"
    paid = read_ledger(ledger_file(out))
    assert set(paid.paid) == {1}
    assert len(paid) == len(read_ledger(ledger_file(found.directory)))

    monkeypatch.setattr("natrl.tuning.optimize.tasks.fine_tune_all", None)  # nothing is fine-tuned again
    monkeypatch.setattr(InheritedEvaluator, "evaluate", None)  # and nothing scored
    (out / "report.json").unlink()
    again = optimize(trained(), **given, resume=True)
    torch.testing.assert_close(dict(again.model.state_dict()), dict(resumed.model.state_dict()), rtol=0, atol=0)
    assert (out / "report.json").exists()


def test_a_supernet_on_actors_is_trained_in_turns_with_the_policy(ray_session: None, tmp_path: Path) -> None:
    """Two actors, each with the newest weights: 20 seconds."""
    learn = replace(TINY.learn, iterations=12, warmup_steps=2, weight_steps=3)  # time for both actors to start
    spec = replace(TINY.evaluator, reward="supernet", actors=2)
    settings = replace(TINY, learn=learn, evaluator=spec, finalists=1)
    found = optimize(trained(), data=digits(), budget={"madds": "70%"}, out=tmp_path / "out", settings=settings)
    assert found.after.cost.madds <= 0.7 * found.before.cost.madds
    last = last_result(found.directory)
    assert last["actors"] == 2
    assert last["weights_version"] >= 2
    assert last["weights_loss"] > 0


def test_the_command_applies_a_policy_that_was_learned(
    found: Optimized, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On another network of the class: nothing is learned; two networks are fine-tuned, for an epoch each."""
    out = tmp_path / "out"
    text = output(
        capsys,
        *("transform", "tests.modules.trained:narrow", "--data", "digits", "--max-madds", "80%"),
        *("--policy", found.directory, "-n", 1, "--epochs", 1, "-o", out, "--onnx", "--json"),
        *("--expect-accuracy", 0),  # it is not trained
    )
    document = json.loads(text)
    before, after = document["before"], document["after"]
    assert after["cost"]["madds"] <= 0.8 * before["cost"]["madds"]
    assert document == json.loads((out / "report.json").read_text())
    assert "Residual: out" in (out / "report.html").read_text()
    assert document["images"] == digits().describe()
    assert "drawn by seed 0 from images that come as one part" in (out / "report.html").read_text()
    splits = json.loads((out / "splits.json").read_text())
    assert splits == {name: indices.tolist() for name, indices in digits().indices.items()}
    images = digits().test.tensors[0][:4]
    network = load_module(Residual(channels=6), images, out).eval()
    assert isinstance(network, Residual)
    exported = onnx.load(out / "model.onnx")
    (logits,) = ReferenceEvaluator(exported).run(None, {exported.graph.input[0].name: images.numpy()})
    np.testing.assert_allclose(logits, network(images).detach().numpy(), rtol=1e-3, atol=1e-4)


def test_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    network = ("transform", "tests.modules.trained:narrow")
    assert "--data NAME is needed" in error(capsys, *network, "--max-madds", "80%")
    tracked = ("optimize", network[1], "--data", "digits", "--max-madds", "80%", "--wandb", "x")
    for other in (("--resume", "-o", tmp_path / "x"), ("--policy", tmp_path)):
        assert "--wandb does not go with this: it logs the training of a policy" in error(capsys, *tracked, *other)
    assert "at least one of madds, params, latency, batch_latency" in error(capsys, *network, "--data", "digits")
    assert "--policy RUN is needed" in error(capsys, "transform", "DARTS")
    wrong = error(capsys, "transform", "DARTS", "--resume", "-o", tmp_path / "x")
    assert "--resume does not go with this: networks are torchvision:NAME" in wrong
    wrong = error(capsys, *network, "--data", "digits", "--max-madds", "80%", "--picture", tmp_path / "x.png")
    assert "--picture does not go with this: tests.modules.trained:narrow is a network" in wrong
    assert "epochs must be" in error(capsys, *network, "--data", "digits", "--max-madds", "80%", "--epochs", 0)
    within = ("--data", "digits", "--max-madds", "80%", "--resume")
    assert "give that too" in error(capsys, *network, *within)
    assert "is not a natrl.optimize directory" in error(capsys, *network, *within, "-o", tmp_path / "x")
    assert "--weights" in error(capsys, *network, "--data", "digits", "--max-madds", "80%", "--weights", tmp_path / "x")
    assert "DEFAULT are of networks" in error(
        capsys, *network, "--data", "digits", "--weights", "DEFAULT", *within[2:4]
    )


def itself(image: torch.Tensor) -> torch.Tensor:
    """Digits as they come: tensors in [0, 1]."""
    return image


@pytest.mark.parametrize("more", [(), ("--score", "r2"), ("--weights", "DEFAULT")])
def test_an_unknown_data_set_is_told_before_weights_are_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    for name in ("load_network", "load_published"):
        monkeypatch.setattr(f"natrl.modules.references.{name}", None)
    said = error(capsys, "optimize", "torchvision:resnet18", "--data", "digit", "--max-madds", "80%", *more)
    assert said.startswith("natrl: unknown data 'digit'; known: digits, ")


def test_published_weights_prepare_images_unless_the_user_does(monkeypatch: pytest.MonkeyPatch) -> None:
    normalisation = {"mean": (0.5,), "std": (0.25,)}
    published = PublishedNetwork(trained(), lambda image: (image - 0.5) / 0.25, normalisation)
    monkeypatch.setattr("natrl.modules.references.load_published", lambda reference: published)

    def shown(*said: Any) -> torch.Tensor:
        return _network_and_data("torchvision:any", "digits", "DEFAULT", Preparation(*said), 0)[1].test.tensors[0]

    wanted = load_data("digits", mean=0.5, std=0.25).test.tensors[0]
    torch.testing.assert_close(shown(None, None, None, None), wanted)
    assert torch.equal(shown(16, None, None, None), load_data("digits", image_size=16, **normalisation).test.tensors[0])
    assert torch.equal(shown(None, "none", None, None), load_data("digits", mean="none").test.tensors[0])


def test_the_command_prepares_images_as_the_network_was_trained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing starts: each says what the original is worth."""
    monkeypatch.setattr("natrl.tuning.optimize.run.ray_session", None)
    network = ("transform", "tests.modules.test_original:unscaled", "--data", "digits", "--max-madds", "80%")
    wrong = error(capsys, *network, "--mean", 300, "--std", 1, "-o", tmp_path / "out")
    assert "the original: 10.0% on 450 validation images, near guessing (0.1); likely reasons" in wrong
    right = error(capsys, *network, "--mean", "none", "--expect-accuracy", "100%")
    assert re.search(r"the original: 9\d\.\d% on 450 validation images, below the 100\.0% that were expected", right)
    by_function = ("--transform", "tests.tuning.test_modules:itself")
    assert right == error(capsys, *network, *by_function, "--expect-accuracy", "100%")
    assert not (tmp_path / "out").exists()
    with_architecture = error(capsys, "transform", "DARTS", "--mean", "none")
    assert "--mean does not go with this" in with_architecture


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"madds": 10}, "the smallest reachable cost is [0-9,]+ MAdds"),
        ({"latency": 1e-9}, r"no transformation takes at most 1e-06 ms for one image .* the original"),
        ({"latency": "99900%", "batch_latency": 1e-9}, r"at most 1e-06 ms for 32 images"),
        ({"energy": 1}, "unknown budget 'energy'"),
    ],
)
def test_a_budget_that_nothing_satisfies_is_refused_before_anything_is_trained(
    budget: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        natrl.optimize(trained(), data=digits(), budget=budget, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_outputs_that_are_no_logits_of_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Residual must give .* \(N, 12\) for data .*; it gives shape \(2, 10\)"):
        natrl.optimize(
            trained(),
            data=replace(digits(), num_classes=12, class_names=tuple("abcdefghijkl")),
            budget={"madds": "70%"},
        )


@pytest.mark.parametrize("actors", [0, 2])
def test_resources_that_the_cluster_never_has_are_refused_and_nothing_is_written(
    ray_session: None, actors: int, tmp_path: Path
) -> None:
    settings = replace(TINY, evaluator=replace(TINY.evaluator, actors=actors, num_gpus=1))
    with pytest.raises(ValueError, match=r"evaluator actors with 1 GPU each need [12] GPUs; this Ray has 0"):
        optimize(trained(), data=digits(), budget={"madds": "70%"}, out=tmp_path / "out", settings=settings)
    assert not (tmp_path / "out").exists()


def test_the_command_tells_the_defaults_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(output(capsys, "transform", "--help").replace("│", " ").split())  # without the frames of its panels
    default = OptimizeSettings()
    for words in (
        f"for networks {default.candidates}",
        f"policy updates. [default: ({default.learn.iterations})]",
        f"fine-tuned. [default: ({default.fine_tuning.epochs})]",
    ):
        assert words in text


def test_a_policy_that_learns_from_scores_asks_for_few_however_many_iterations_it_has() -> None:
    effects = OptimizeSettings().learn
    few = OptimizeSettings(learn_from="scores").learn
    assert few.iterations * few.batch_size == 256 < effects.iterations * effects.batch_size
    assert OptimizeSettings(learn_from="scores", learn=replace(effects, iterations=3)).learn == replace(
        few, iterations=3
    )
    assert replace(OptimizeSettings(learn_from="scores"), learn_from="effects").learn == effects
    own = replace(effects, learning_rate=0.01)
    assert OptimizeSettings(learn_from="scores", learn=own).learn == own


def test_settings_that_contradict_each_other_are_named() -> None:
    with pytest.raises(ValueError, match=r"they need reward 'supernet'"):
        OptimizeSettings(learn=LearnSettings(weight_steps=1))
    with pytest.raises(ValueError, match=r"num_gpus must be at least 0, got -1"):
        OptimizeSettings(evaluator=EvaluatorSpec(num_gpus=-1))


def test_a_directory_without_a_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no network: choice.json cannot be read"):
        load_module(trained(), torch.zeros(1, 1, 8, 8), tmp_path)
