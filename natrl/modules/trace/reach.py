"""What a network refers to: its modules' attributes, and everything that is reached from them."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn, Tensor

__all__ = ["attributes", "reached", "storage_key"]

PLAIN = (str, bytes, int, float, complex, type, ModuleType, type(None), torch.dtype, torch.device, torch.Size)
INSTALLED = {"site-packages", "dist-packages"}  # folders
BY_NAME = ("_parameters", "_buffers")


def attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """A module's own attributes, parameters, buffers and hooks with a name for each; submodules are left out."""
    if isinstance(module, torch.jit.ScriptModule):
        return
    for name, value in vars(module).items():
        if name in BY_NAME:
            yield from value.items()
        elif name != "_modules" and value is not None:
            hooks = name.endswith("_hooks") and isinstance(value, dict)
            yield (name.strip("_").removesuffix("s").replace("_", " ") if hooks else name), value


def reached(roots: Iterable[Any], *, functions: bool = False, within: Container[int] = ()) -> Iterator[Any]:
    """Every tensor, module, container and object that is reached from some, those included, each once.

    `functions`: also through what copy.deepcopy does not copy, functions and weak references. Classes, Python modules
    and objects of the standard library are not looked into, nor what is in objects with the ids `within`; nor the
    globals of installed packages in which nothing is torch's, which lead far away (an assertion that pytest rewrote: to
    all that pytest knows).
    """
    waiting, seen = list(roots), set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, PLAIN) or id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if id(value) in within:
            continue
        waiting += _copied_parts(value)
        if functions:
            waiting += _shared_parts(value)


def _copied_parts(value: Any) -> list[Any]:
    """What copy.deepcopy copies with a value."""
    if isinstance(value, Tensor | FunctionType | torch.jit.ScriptModule):
        return []  # a function is not copied
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    elif isinstance(value, MethodType):
        return [value.__self__]
    elif isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    else:
        parts = []
    known = isinstance(value, SimpleNamespace) or not _is_library(type(value).__module__)
    return parts + (list(vars(value).values()) if known and hasattr(value, "__dict__") else [])


def _shared_parts(value: Any) -> list[Any]:
    """What a copy of a value goes on sharing with it."""
    if isinstance(value, FunctionType):
        if _is_library(str(value.__module__)) or str(value.__module__).startswith("torch."):
            return []
        own = [*(value.__closure__ or ()), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        knows_torch = _knows_torch(_top(str(value.__globals__.get("__name__"))), len(sys.modules))
        return own + (_looked_up(value.__globals__, _names(value.__code__)) if knows_torch else [])
    if isinstance(value, CellType):
        try:
            return [value.cell_contents]
        except ValueError:  # nothing is in it yet
            return []
    if isinstance(value, weakref.ref):
        return [value()]
    if isinstance(value, BuiltinMethodType):
        return [value.__self__]
    if isinstance(value, MethodType):
        return [value.__func__]
    wrapped = getattr(value, "__dict__", {}).get("__wrapped__")  # functools.lru_cache
    return [] if wrapped is None else [wrapped]


def _looked_up(namespace: dict[str, Any], names: set[str]) -> list[Any]:
    """What has one of the names among globals, or in a Python module among them."""
    found = [namespace[name] for name in names if name in namespace]
    modules = (value for value in found if isinstance(value, ModuleType) and value.__name__.split(".")[0] != "torch")
    users = [module for module in modules if not _is_library(module.__name__)]
    return found + [vars(module)[name] for module in users for name in names if name in vars(module)]


def _is_library(module: str) -> bool:
    """Whether a module is of the standard library."""
    return module.split(".")[0] in sys.stdlib_module_names


@lru_cache(maxsize=1024)
def _knows_torch(package: str, imported: int) -> bool:
    """Whether something in one of its modules is torch's, or the package is not an installed one.

    `imported`: how many modules there are; more of the package's may have come with others.
    """
    if package == "torch":
        return True
    modules = [getattr(module, "__dict__", {}) for name, module in [*sys.modules.items()] if _top(name) == package]
    if not any(INSTALLED & {*Path(str(own.get("__file__", ""))).parts} for own in modules):
        return True
    values = [value for own in modules for value in [*own.values()]]
    homes = {_top(str((v if isinstance(v, type | FunctionType) else type(v)).__module__)) for v in values}
    return "torch" in homes or any(value is torch for value in values)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _names(code: CodeType) -> set[str]:
    """The names that code, and the functions in it, may look up among the globals."""
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def storage_key(tensor: Tensor) -> int:
    """A number that tensors share that share their memory."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # a kind of tensor that has no storage of its own
        return id(tensor)
