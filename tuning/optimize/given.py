"""What a call of natrl.optimize gives: the network's space, and what it is for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn, Tensor

from natrl.data import batches, Examples, load_data
from natrl.data.labelled import load_examples
from natrl.evaluation.distance import named_score
from natrl.evaluation.own_score import Score
from natrl.evaluation.scores.named import NamedScore, SCORES
from natrl.files.paths import absolute_reference
from natrl.modules.importing import from_module
from natrl.modules.original import expected_accuracy
from natrl.modules.space import ModuleSpace
from natrl.tuning.optimize.labelled import LabelledTask
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.tasks import ImageTask, OwnTask, Task, Tune

__all__ = ["space_and_task"]


def space_and_task(
    model: nn.Module,
    data: Any,
    prepared: Mapping[str, Any],
    score: Score | NamedScore | str | None,
    tune: Tune | None,
    example_input: Tensor | tuple[Tensor, ...] | None,
    expected: float | str | None,
    settings: OptimizeSettings,
    key: str | None = None,
) -> tuple[ModuleSpace, Task]:
    """The arguments are those of `natrl.optimize`, its mean, std and transform in `prepared`.

    ValueError where what is given does not go together.
    """
    if settings.class_weights and (data is None or score is None):
        raise ValueError("class_weights go with data and a named score, such as balanced_accuracy")
    if data is None and score is None:
        raise ValueError('give data, such as "cifar10", or a score of your own: a function of a network')
    if data is None:
        if any(value is not None for value in prepared.values()):
            raise ValueError("score measures networks on data of its own: leave out data, mean, std and transform")
        return _own(model, score, tune, example_input, expected, key, settings)
    if key is not None:
        raise ValueError("key is what functions of yours are known by: leave it out with data")
    named = None if score is None else _named(score)
    if tune is not None:
        raise ValueError("tune goes with score, a function of yours: with data, natrl trains and measures")
    source = absolute_reference(data) if isinstance(data, str) else data
    if named is None:
        accuracy = expected_accuracy(expected)
        images = load_data(source, seed=settings.seed, **prepared)
        space = _space(model, images, example_input, settings)
        return space, ImageTask(model, images, space.example[0], accuracy)
    least = _least(expected)
    examples = _examples(source, named, settings.seed, prepared)
    space = _space(model, examples, example_input, settings)
    return space, LabelledTask(model, named, examples, least, settings)


def _named(score: Score | NamedScore | str) -> NamedScore:
    if callable(score):
        raise ValueError(
            "score measures networks on data of its own: leave out data, mean, std and transform; with data it is one "
            f"with a name: {', '.join(SCORES.names())}"
        )
    return SCORES.get(score)


def _examples(source: Any, named: NamedScore, seed: int, prepared: Mapping[str, Any]) -> Examples:
    """Images with classes, prepared as asked for; or anything else, as it comes."""
    if named.labels == "classes" and type(source) is not Examples:
        return load_data(source, seed=seed, **prepared)
    if any(value is not None for value in prepared.values()):
        raise ValueError(f"score {named.name!r} takes inputs as they come: leave out mean, std and transform")
    try:
        return load_examples(source, named.targets, seed=seed)
    except ValueError as error:
        raise ValueError(f"score {named.name!r}: {error}") from None


def _space(
    model: nn.Module, data: Examples, example_input: Tensor | tuple[Tensor, ...] | None, settings: OptimizeSettings
) -> ModuleSpace:
    example = next(batches(data.validation, 2))[0].contiguous() if example_input is None else example_input
    space = from_module(model, example, moves=settings.moves, width_multiple=settings.width_multiple)
    if len(space.example) > 1:
        raise ValueError(f"{space.name} takes {len(space.example)} inputs, and data gives one: give score instead")
    return space


def _own(
    model: nn.Module,
    score: Any,
    tune: Tune | None,
    example_input: Any,
    expected: float | str | None,
    key: str | None,
    settings: OptimizeSettings,
) -> tuple[ModuleSpace, Task]:
    if isinstance(score, NamedScore) or (score in SCORES.names() if isinstance(score, str) else False):
        name = score if isinstance(score, str) else score.name
        raise ValueError(f"score {name!r} needs data: (train, validation, test) with labels")
    if example_input is None:
        raise ValueError("score needs example_input: a batch of inputs as the model takes them, without labels")
    least = _least(expected)
    space = from_module(model, example_input, moves=settings.moves, width_multiple=settings.width_multiple)
    return space, OwnTask(model, named_score(score, model, space.example), tune, space.example, least, key)


def _least(expected: float | str | None) -> float | None:
    if isinstance(expected, bool | str) or not math.isfinite(expected or 0):
        raise ValueError(f"expect_accuracy is a number that score can give, got {expected!r:.60}")
    return expected
