"""Settings as people write them: YAML or JSON documents, where what is left out takes defaults that suit the reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from natrl.checks.arguments import checked
from natrl.documents import read_document
from natrl.files.paths import absolute_settings, quote
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton
from natrl.spaces import space as find_space
from natrl.training.weight_settings import FAIR
from natrl.tuning.presets import in_turns, one_pass, presets_of

__all__ = ["complete", "read_settings"]


@checked
def read_settings(path: Path) -> dict[str, Any]:
    """The fields of a run in a file: a document for `complete`, or the config.json of a run. ValueError in one line.

    Paths in it are relative to the file's folder.
    """
    document = read_document(path)
    if "parameters" in document:
        raise ValueError(f"{path} is a search space, not the settings of one run: natrl sweep {quote(path)} -o DIR")
    fields = document["settings"] if isinstance(document.get("settings"), dict) else document
    if not fields:
        raise ValueError(f"{path} holds no settings; they are fields and values, such as seed: 1")
    return absolute_settings(fields, path.parent)


def complete(document: Mapping[str, Any]) -> RunSettings:
    """The settings of a run. What the document leaves out takes the preset of its reward and algorithm.

    The skeleton's missing fields are those of the space and the evaluator's seed is the run's; `total_steps` of a
    supernet is the number of weight steps of the whole run, and `surrogate_every` spreads a surrogate's rounds over its
    iterations. A supernet of schedule "paper" makes one pass over the images of its weights and one over those of its
    policy an iteration (the data set is read for their number). ValueError lists unknown fields and the valid ones.
    """
    parts = [document.get("evaluator", {}), document.get("learn", {})]
    if not all(isinstance(part, Mapping) for part in parts):
        return RunSettings.from_dict(document)  # which says what is wrong
    evaluator, learn = dict(parts[0]), dict(parts[1])
    preset_evaluator, preset_learn, preset_run = presets_of(evaluator, learn)
    learn = preset_learn | learn
    if "minibatch_size" not in parts[1]:  # PPO's minibatches are no larger than a batch
        learn["minibatch_size"] = _at_most(learn.get("batch_size"), learn.get("minibatch_size", 128))
    if "seed" in document:
        evaluator.setdefault("seed", document["seed"])
    evaluator = _with_groups(evaluator, preset_evaluator)
    settings = RunSettings.from_dict(preset_run | dict(document) | {"evaluator": evaluator, "learn": learn})
    open_ = {"weight_steps", "updates"} - set(parts[1])
    if open_ and in_turns(settings.evaluator.kind, settings.evaluator.schedule):
        counts = one_pass(settings.evaluator)
        passes: dict[str, Any] = {name: counts[name] for name in open_}
        settings = replace(settings, learn=replace(settings.learn, **passes))
    missing = {name: value for name, value in _derived(settings).items() if name not in evaluator}
    return replace(settings, evaluator=replace(settings.evaluator, **missing))


def _with_groups(evaluator: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluator over its preset; of its groups, skeleton and weights, each may have some fields of its own."""
    merged = {**preset, **evaluator}
    for name in ("skeleton", "weights"):
        parts = [group.get(name, {}) for group in (preset, evaluator)]
        if all(isinstance(part, Mapping) for part in parts) and any(parts):
            usual = FAIR if name == "weights" else find_space(evaluator.get("space", "darts")).skeleton
            theirs = parts[0] if name == "weights" or usual == Skeleton() else {}  # published for that network alone
            merged[name] = asdict(usual) | dict(theirs) | dict(parts[1])
    return merged


def _derived(settings: RunSettings) -> dict[str, Any]:
    """What of an evaluator depends on how long the policy is trained."""
    learn = settings.learn
    derived: dict[str, Any] = {"total_steps": max(1, learn.warmup_steps + learn.iterations * learn.weight_steps)}
    if settings.evaluator.surrogate is None:
        return derived
    from natrl.evaluation.surrogate.evaluator import rounds_every  # scikit-learn takes seconds

    return derived | {"surrogate_every": rounds_every(learn.iterations)}


def _at_most(batch: Any, usual: int) -> int:
    return max(1, min(batch, usual)) if isinstance(batch, int) else usual
