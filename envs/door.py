"""What comes in through the door of an environment is checked here, once. N rows, E slots, K primitives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from reprlib import repr as short
from typing import Any

import gymnasium
import numpy as np

from natrl.core.architecture import Architecture

__all__ = [
    "RefusedAction",
    "above_zero",
    "check_action",
    "check_observation",
    "whole_number",
    "first_seed",
    "architectures",
    "given_architecture",
    "outside",
]

MOST = 1_000_000
FEW = 64  # numbers that are quicker to compare in Python


class RefusedAction(gymnasium.error.InvalidAction, ValueError):
    """What is no action; and with invalid_action="raise" also an action outside the mask."""


def check_action(action: Any, shape: tuple[int, ...], primitives: int) -> np.ndarray:
    """The action as an int array of that shape. RefusedAction on another shape, and on numbers that are not whole."""
    try:
        array = np.asarray(action)
    except (TypeError, ValueError, OverflowError):  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iu" or array.shape != shape:
        form = f"an array of shape {shape} of whole numbers" if shape else "a whole number"
        what = f"{array.dtype} of shape {array.shape}" if array.dtype.kind != "O" else type(action).__name__
        raise RefusedAction(f"an action is {form} from 0 to {primitives - 1}, got {what}: {_shown(action)}")
    return array


def outside(actions: np.ndarray, primitives: int) -> np.ndarray | None:
    """bool, where an action is no number from 0 to K − 1; None where all are."""
    if actions.size <= FEW:
        numbers = actions.ravel().tolist()
        if not numbers or (min(numbers) >= 0 and max(numbers) < primitives):
            return None
    wrong = (actions < 0) | (actions >= primitives)
    return wrong if wrong.any() else None


def check_observation(observation: Mapping[str, Any], space: gymnasium.Space) -> None:
    """ValueError naming the first entry that is not in its space: the architecture space contradicts itself."""
    for name, entry in space.spaces.items():  # type: ignore[attr-defined]  # a Dict
        if not entry.contains(observation[name]):
            array = np.asarray(observation[name])
            raise ValueError(f"observation {name!r}, {array.dtype} of shape {array.shape}, is not in {_shown(entry)}")


def whole_number(name: str, value: Any) -> int:
    """The argument as a whole number from 1 to 1,000,000. ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number of at least 1, got {_shown(value)}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {_shown(value)}")
    if value > MOST:
        raise ValueError(f"{name} must be at most {MOST:,}, got {_shown(value)}")
    return int(value)


def above_zero(name: str, value: Any) -> float:
    """The argument as a finite number above 0. ValueError otherwise."""
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {_shown(value)}")
    return number


def first_seed(seed: Any, num_envs: int) -> Any:
    """The seed of the first of several environments, from one number or one for each. ValueError on another length."""
    if not isinstance(seed, list | tuple | np.ndarray):
        return seed
    if len(seed) != num_envs:
        raise ValueError(f"seed is a number, or one for each of {num_envs} environments, got {len(seed)}")
    return seed[0]


def given_architecture(options: Any) -> Any:
    """What the options of `reset` hold as "architecture", None where nothing. ValueError on other options."""
    if options is None:
        return None
    if not isinstance(options, Mapping) or not options.keys() <= {"architecture"}:
        raise ValueError(f'options of reset are None or {{"architecture": …}}, got {_shown(options)}')
    return options.get("architecture")


def architectures(what: str, given: Any) -> list[Architecture]:
    """The architectures of a sequence. ValueError saying what is none."""
    try:
        each = iter(() if isinstance(given, Architecture | str | bytes) else given)
    except TypeError:
        each = iter(())
    found: list[Architecture] = []
    for architecture in each:
        if not isinstance(architecture, Architecture):
            number = f"number {len(found)} must be a natrl.Architecture (natrl.parse reads text)"
            raise ValueError(f"{what}: {number}, got {_shown(architecture)}")
        found.append(architecture)
    if not found:
        raise ValueError(f"{what}: at least one architecture is needed, in a sequence, got {_shown(given)}")
    return found


def _shown(value: Any) -> str:
    return " ".join(short(value).split())
