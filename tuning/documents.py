"""Settings as people write them: YAML or JSON documents, where what is left out takes defaults that suit the reward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from natrl.checks.arguments import checked
from natrl.documents import read_document
from natrl.evaluation.rewards import REWARDS
from natrl.files.paths import absolute_settings, quote
from natrl.rllib.registry import ALGORITHMS, PPO, REINFORCE
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton
from natrl.spaces import space as find_space
from natrl.training.weight_settings import FAIR
from natrl.tuning.presets import in_turns, one_pass, presets_of

__all__ = ["complete", "in_vain", "over", "read_settings", "unheeded"]

#: What some rewards take, and what actors alone heed.
_OF_REWARDS = ("column", "data", "image_size", "weights", "weight_share", "score_images", "reference_images", "steps")
_OF_ACTORS = ("num_cpus", "num_gpus", "timeout", "max_attempts")


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


def over(document: Any, given: Mapping[str, Any]) -> Any:
    """The document with what the user gave in place; None and groups without a value are not given.

    A seed that is given is everything's, the evaluator's too.
    """
    if not isinstance(document, dict):
        return document  # which is no group of fields: `complete` says so
    merged = dict(document)
    for name, value in given.items():
        if isinstance(value, dict):
            value = over(merged.get(name) or {}, value) or None
        if value is not None:
            merged[name] = value
    if given.get("seed") is not None and isinstance(evaluator := merged.get("evaluator"), dict):
        merged["evaluator"] = {**evaluator, "seed": given["seed"]}
    return merged


def unheeded(settings: RunSettings) -> dict[str, str]:
    """What a run with these settings has no use for, by dotted name, and why."""
    spec, name = settings.evaluator, settings.learn.algorithm
    (kind, argument), algorithm = REWARDS.find(spec.reward), ALGORITHMS.get(name)
    takes = kind.takes | ({"image_size"} if "data" in kind.takes else set())
    if kind.free and not Path(argument).suffix:
        takes -= {"column"}
    why = {f"evaluator.{n}": f"the reward {spec.reward} has no use for it" for n in _OF_REWARDS if n not in takes}
    if "space" not in takes:
        why |= {f"evaluator.skeleton.{f.name}": f"the reward {spec.reward} has no use for it" for f in fields(Skeleton)}
    if not kind.changes:
        reason = f"they train the weights of a supernet, the reward is {spec.reward}"
        why |= {"learn.warmup_steps": reason, "learn.weight_steps": reason}
    if not spec.actors:
        why |= {f"evaluator.{n}": "there are no actors: give --actors N too" for n in _OF_ACTORS}
    if ALGORITHMS.is_ours(name):
        others = {*PPO.heeds, *REINFORCE.heeds} - set(algorithm.heeds)
        why |= {f"learn.{n}": f"the algorithm {name} has no use for it" for n in others}
    if "baseline" not in algorithm.heeds:
        why["learn.baseline"] = f"{name} learns its own or none; --algorithm reinforce has others"
    return why


def in_vain(document: Mapping[str, Any]) -> list[str]:
    """What a document says although its settings have no use for it, by dotted name.

    Not what a run's config.json says in any case, and no skeleton: costs are counted on it, whatever the reward.
    Nothing where the document cannot be.
    """
    try:
        settings = complete(document)
        bare = complete(_without(document, unheeded(settings)))
    except ValueError:
        return []
    names = [name for name in unheeded(settings) if ".skeleton" not in name]
    return [name for name in names if attrgetter(name)(settings) != attrgetter(name)(bare)]


def _without(document: Mapping[str, Any], names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """Nested values without those of these dotted names."""
    return {
        name: _without(value, names, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in document.items()
        if f"{prefix}{name}" not in names
    }


def _with_groups(evaluator: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluator over its preset; of its groups, skeleton and weights, each may have some fields of its own."""
    merged, home = {**preset, **evaluator}, find_space(evaluator.get("space", "darts"))
    stacked = getattr(home, "skeleton", None)
    if stacked is None and not evaluator.get("skeleton"):
        preset = {name: value for name, value in preset.items() if name != "skeleton"}
        merged.pop("skeleton", None)
    for name in ("skeleton", "weights"):
        parts = [group.get(name, {}) for group in (preset, evaluator)]
        if all(isinstance(part, Mapping) for part in parts) and any(parts):
            usual: Any = FAIR if name == "weights" else stacked or home.on(Skeleton())  # which says that it has none
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
