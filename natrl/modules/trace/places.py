"""Where a network's code keeps things besides the network: its classes, globals, closures and caches.

A run without data (torch's FakeTensors) may leave tensors there that have no values, as where a grid of positions is
made once for each size. The user's own network, and every copy, would read them next.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import _lru_cache_wrapper
from types import CellType, FunctionType
from typing import Any

from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from natrl.modules.trace.reach import reached

__all__ = ["without_fake_tensors"]


@contextmanager
def without_fake_tensors(model: nn.Module) -> Iterator[None]:
    """What a run of the model in the body leaves in such places, and has no values, is taken out of them again."""
    before = [(place, _contents(place)) for place in {id(place): place for place in _places(model)}.values()]
    try:
        yield
    finally:
        for place, held in before:
            _take_out(place, held)


def _places(model: nn.Module) -> Iterator[Any]:
    kinds = {kind for module in model.modules() for kind in type(module).__mro__ if kind.__module__ != "builtins"}
    own = [kind for kind in kinds if kind.__module__.split(".")[0] != "torch"]
    yield from own
    values = [value for kind in own for value in vars(kind).values()]
    methods = [getattr(value, "__func__", getattr(value, "fget", value)) for value in values]
    for found in reached(methods, functions=True):
        if isinstance(found, FunctionType):
            yield found.__globals__
        if isinstance(found, dict | list | set | CellType | _lru_cache_wrapper) or hasattr(found, "__dict__"):
            yield found


def _contents(place: Any) -> Any:
    """What such a place holds now: by key, or one after another."""
    if isinstance(place, _lru_cache_wrapper):
        return place.cache_info().misses
    if isinstance(place, CellType):
        try:
            return {"cell_contents": place.cell_contents}
        except ValueError:  # nothing is in it yet
            return {}
    if isinstance(place, list | set):
        return list(place)
    return dict(place if isinstance(place, dict) else vars(place))


def _take_out(place: Any, before: Any) -> None:
    now = _contents(place)
    if isinstance(place, _lru_cache_wrapper):
        if now != before:
            place.cache_clear()
    elif isinstance(now, dict):
        for key, value in now.items():
            if value is not before.get(key) and _is_fake(value):
                _put(place, key, before)
    else:
        held = set(map(id, before))
        if any(_is_fake(value) for value in now if id(value) not in held):
            place.clear()
            place.extend(before) if isinstance(place, list) else place.update(before)


def _put(place: Any, key: str, before: dict[str, Any]) -> None:
    """What was there before under that key, if anything was."""
    if isinstance(place, MutableMapping):
        place.pop(key) if key not in before else place.__setitem__(key, before[key])
    elif key in before:
        setattr(place, key, before[key])
    else:
        delattr(place, key)


def _is_fake(value: Any) -> bool:
    return any(isinstance(found, FakeTensor) for found in reached([value]))
