"""What a network is for: how good one is, and how one is trained on. Images with labels, or functions of the user's."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn, Tensor

from natrl.checks.errors import summary
from natrl.data import ImageData
from natrl.data.loading import DATA
from natrl.digests import digest
from natrl.evaluation.base import itself
from natrl.evaluation.distance import OutputDistance
from natrl.evaluation.inherited import Inheriting
from natrl.evaluation.own_score import Scale, scale_of, Score, scored, ScoreEvaluator
from natrl.evaluation.rewards import Reward, REWARDS
from natrl.evaluation.user_code import check_travels, FunctionError
from natrl.modules.original import check_accuracy, check_outputs, measure_original, told
from natrl.modules.replace.copies import copied
from natrl.modules.space import ModuleSpace
from natrl.training.device import default_device
from natrl.training.fine_tuning import state_of, Tuned
from natrl.training.fitting import measure
from natrl.tuning.optimize.fine_tunings import fine_tune_all
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.tasks import put, run_tasks

__all__ = ["ImageTask", "OwnTask", "Task", "Tune"]

Tune = Callable[[nn.Module], nn.Module | None]
OnResult = Callable[[int, Tuned], None]


class Task(ABC):
    """What `natrl.optimize` asks about networks."""

    scored_on: ImageData | None = None  # of candidates; None: the task has a score of its own
    measured: str  # the name of a figure
    images: str  # what is told of the data
    splits: Mapping[str, np.ndarray] = {}  # which images were taken for what
    trains = True  # `tune` changes weights
    has_epochs = True  # … by the schedule of the settings

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What the result depends on, JSON-ready: "data", a name, and digests."""

    @abstractmethod
    def original(self, model: nn.Module) -> str:
        """How good the network is as it is, in one line. ValueError where that cannot be right."""

    @abstractmethod
    def lent(self, settings: OptimizeSettings, space: ModuleSpace) -> Any:
        """Context: the settings, whose evaluator is of this task as long as the body runs."""

    def chooser(self, settings: OptimizeSettings) -> Inheriting:
        """What gives candidates their weights, and scores them."""
        evaluator = settings.chooser(self.scored_on)
        assert isinstance(evaluator, Inheriting)
        return evaluator

    @abstractmethod
    def tune(
        self, networks: Sequence[nn.Module], settings: OptimizeSettings, original: nn.Module, on_result: OnResult
    ) -> list[Tuned]:
        """Trains copies on, each in a Ray task; `on_result` is called as soon as each is done."""

    @abstractmethod
    def figures(self, network: nn.Module) -> tuple[float, float | None]:
        """On validation and test data; None: there are none of that. Test data is read here alone."""


class ImageTask(Task):
    """Images with labels: accuracy."""

    measured = "accuracy"

    def __init__(self, model: nn.Module, data: ImageData, example: Tensor, expected: float | None) -> None:
        """`expected`: in [0, 1], what the network has at least. ValueError where its outputs are of other classes."""
        check_outputs(model, example, data)
        check_travels(data, f"data {data.name!r}")
        self.data = self.scored_on = data
        self.expected = expected
        self.images, self.splits = data.describe(), data.indices

    def identity(self) -> dict[str, Any]:
        return {"data": self.data.name, "images": self.data.digest}

    def original(self, model: nn.Module) -> str:
        found = measure_original(model, self.data)
        check_accuracy(found, self.data, self.expected)
        return told(found)

    @contextmanager
    def lent(self, settings: OptimizeSettings, space: ModuleSpace) -> Iterator[OptimizeSettings]:
        with DATA.lent(self.data) as name:
            yield replace(settings, evaluator=replace(settings.evaluator, data=name))

    def tune(
        self, networks: Sequence[nn.Module], settings: OptimizeSettings, original: nn.Module, on_result: OnResult
    ) -> list[Tuned]:
        teacher = original if settings.distill else None
        return fine_tune_all(networks, self.data, settings, teacher=teacher, on_result=on_result)

    def figures(self, network: nn.Module) -> tuple[float, float | None]:
        return measure(network, self.data.validation).accuracy, measure(network, self.data.test).accuracy


class OwnTask(Task):
    """Functions of the user's: any score, any training, any outputs."""

    def __init__(
        self,
        model: nn.Module,
        score: Score,
        tune: Tune | None,
        inputs: tuple[Tensor, ...],
        expected: float | None,
        key: str | None = None,
    ) -> None:
        """`inputs`: as the network takes them; `key`: what the functions are known by, None: by their digests.

        ValueError where a function cannot be sent to workers.
        """
        for name, function in (("score", score), ("tune", tune)):
            check_travels(function, f"the function {name}")
        self.score, self.own_tune, self.inputs, self.expected, self.key = score, tune, inputs, expected, key
        self.trains, self.has_epochs = tune is not None, False
        self.measured = getattr(score, "__name__", "score").strip("<>")
        whose = "of outputs from the original's" if isinstance(score, OutputDistance) else "a function of the user's"
        self.images = f"score: {self.measured} ({whose})"
        self._first: float | None = None

    def identity(self) -> dict[str, Any]:
        given = {"score": self.score, "tune": self.own_tune}
        functions = {name: self.key or digest(f) for name, f in given.items() if f is not None}
        return {"data": "score", **functions, "images": digest(self.inputs)}

    def original(self, model: nn.Module) -> str:
        first, again = (scored(self.score, copied(model).to(default_device())) for _ in range(2))
        if self.expected is not None and first < self.expected:
            raise ValueError(f"the original: {self.measured} {first:.6g}, below the {self.expected:.6g} expected")
        self._first = first
        line = f"the original: {self.measured} {first:.6g}"
        return line if first == again else f"{line}, and {again:.6g} when asked again: smaller differences are chance"

    @contextmanager
    def lent(self, settings: OptimizeSettings, space: ModuleSpace) -> Iterator[OptimizeSettings]:
        if settings.evaluator.reward != "inherited":
            raise ValueError(f"score takes the place of the reward: leave out {settings.evaluator.reward!r}")
        score, first = self.searched(settings), self._first
        assert first is not None
        if score is not self.score:
            first = scored(score, copied(space.model).to(default_device()))
        evaluator = ScoreEvaluator(space, score, self.inputs, Scale(first - 1, first), key=self.key, seed=settings.seed)
        evaluator.scale = scale_of(evaluator, first)
        with REWARDS.lent(Reward(partial(itself, evaluator), inherits=True)) as name:
            yield replace(settings, evaluator=replace(settings.evaluator, reward=name, steps=None))

    def tune(
        self, networks: Sequence[nn.Module], settings: OptimizeSettings, original: nn.Module, on_result: OnResult
    ) -> list[Tuned]:
        spec = settings.evaluator
        functions = put((self.score, self.training(settings, original)))
        calls = [{"network": deepcopy(network).cpu(), "functions": functions} for network in networks]
        resources = {"num_cpus": spec.num_cpus, "num_gpus": spec.num_gpus}
        return run_tasks(_tuned, calls, what="a training by tune", on_result=on_result, **resources)

    def figures(self, network: nn.Module) -> tuple[float, float | None]:
        return scored(self.score, copied(network).to(default_device())), None

    def searched(self, settings: OptimizeSettings) -> Score:
        """What candidates are scored by."""
        return self.score

    def training(self, settings: OptimizeSettings, original: nn.Module) -> Tune | None:
        """What finalists are trained by."""
        return self.own_tune


def _tuned(network: nn.Module, functions: tuple[Score, Tune | None]) -> Tuned:
    """What the user's function makes of the network, on this worker's device, and the score of its weights."""
    score, tune = functions
    network = network.to(default_device())
    whole = copied(network)
    found: Any = None
    if tune is not None:
        try:
            found = tune(network)
        except Exception as error:  # whatever the user's code raises
            raise FunctionError(f"tune(network) raised {summary(error)}", error) from error
    found = network if found is None else found
    if not isinstance(found, nn.Module):
        raise FunctionError(f"tune(network) must return None or the network, it returned {type(found).__name__}")
    if _shapes(found) != _shapes(whole):
        raise FunctionError(
            "tune(network) must leave the network as it is but for its weights: its layers are others now"
        )
    tuned = Tuned(state_of(found), score=math.nan)
    return replace(tuned, score=scored(score, tuned.load_into(whole)))  # of what is kept, whatever else was changed


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
