"""Going on with what was begun: the settings are those that it was begun with, but for more iterations."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

from ray.tune.experiment import Trial

from natrl.tuning.state import change_trials

__all__ = ["check_same", "differences", "extend_trial"]


def check_same(
    directory: Path, then: Any, now: Any, *, iterations: str | None = None, digests: Collection[str] = ()
) -> None:
    """ValueError that names what differs between two documents of settings, by dotted names.

    `iterations`: the name of the one setting that may be larger now. `digests`: names whose values say nothing.
    """
    different = differences(then, now)
    if iterations in different:
        before, after = different[iterations]
        if isinstance(after, int) and isinstance(before, int) and after > before:
            del different[iterations]
    if different:
        named = [name.removeprefix("settings.") for name in different]
        values = [
            "" if name in digests else f" ({short(a)} then, {short(b)} now)" for name, (a, b) in different.items()
        ]
        changed = ", ".join(f"another {name}{value}" for name, value in zip(named, values, strict=True))
        more = " (iterations can be added)" if iterations in different else ""
        raise ValueError(f"{directory} was begun with {changed}; give what it was begun with{more}")


def differences(then: Any, now: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted name → (value then, value now), of what differs."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        found: dict[str, tuple[Any, Any]] = {}
        for name in {**then, **now}:
            found |= differences(then.get(name), now.get(name), f"{prefix}.{name}" if prefix else str(name))
        return found
    same = list(then) == list(now) if isinstance(then, list | tuple) and isinstance(now, list | tuple) else then == now
    return {} if same else {prefix: (then, now)}


def extend_trial(run: Path, config: Any, iterations: int) -> None:
    """Lets the one trial of a Tune experiment go on to so many iterations, if it was to end earlier.

    Tune never goes on with a finished trial, and keeps a trial's stopping criterion and configuration in its state
    file: these are written anew there. (Objects in the configuration Tune takes from the new one by itself.)
    """
    numbers, space = _numbers(config.to_dict()), config.env_config.get("space")
    change_trials(run, lambda text, data: (_extended(text, numbers, space, iterations), data))


def _extended(text: str, numbers: Mapping[str, Any], space: Any, iterations: int) -> str:
    """A trial as Tune writes it down, to go on to so many iterations, with the space's name in this process."""
    trial = json.loads(text)
    for kept in ("config", "_Trial__unresolved_config"):
        environment = trial[kept].get("env_config")
        if isinstance(space, str) and isinstance(environment, dict) and isinstance(environment.get("space"), str):
            environment["space"] = space
    text = json.dumps(trial)
    if trial["stopping_criterion"]["training_iteration"] >= iterations:
        return text
    for kept in ("config", "_Trial__unresolved_config"):
        trial[kept] |= {name: value for name, value in numbers.items() if name in trial[kept]}
    trial |= {"status": Trial.PENDING, "stopping_criterion": {"training_iteration": iterations}}
    return json.dumps(trial)


def _numbers(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that are numbers, or schedules of numbers."""

    def is_number(value: Any) -> bool:
        return all(map(is_number, value)) if isinstance(value, list) else isinstance(value, int | float)

    return {name: value for name, value in config.items() if is_number(value)}
