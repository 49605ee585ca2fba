"""Digests: a short name for any value, so that what depends on equal values is found again, and on others is not.

A value is described by its contents, never by its identity: numbers, text and containers by what they hold, arrays,
tensors and networks by every entry, functions and classes by their bytecode and by what that reads (defaults, closures,
globals). What Python or an installed package defines is known by its name and the package's version. So the digest is
the same in every process, and another one where anything of it was changed.
"""

from __future__ import annotations

import dis
import functools
import importlib
import os
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from natrl.errors import said

__all__ = ["digest"]

_PLAIN = (type(None), type(...), bool, int, float, complex, str, bytes)
_STANDARD = Path(os.__file__).parent  # the folder of Python's own modules
#: What a class holds that says nothing about what it does.
_UNSAID = frozenset(
    (
        *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__parameters__", "__orig_bases__"),
        *("__firstlineno__", "__static_attributes__", "__slotnames__", "__abstractmethods__", "_abc_impl"),
        *("__dataclass_fields__", "__dataclass_params__", "__match_args__"),
    )
)
_DESCRIPTORS = (  # of what is written in C
    *("member_descriptor", "getset_descriptor", "wrapper_descriptor"),
    *("method_descriptor", "classmethod_descriptor"),
)
_FUTURE = 0xFFFF  # flags of a code object above these say what it imported from __future__
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")  # of an nn.Module


def digest(value: Any) -> str:
    """64 hexadecimal digits (SHA-256). Dictionaries count in their order, sets in none.

    An object that defines `__described__()` is described by what that returns. ValueError in one line that names what
    cannot be described: what Python cannot pickle, such as an open file, or a lock.
    """
    return _Describer().of(value).hex()


class _Describer:
    """Digests of values that may hold each other, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}  # by identity, with the value, whose identity is then its own
        self._open: dict[int, Any] = {}  # those being described now, outermost first

    def of(self, value: Any) -> bytes:
        """32 bytes."""
        if type(value) in _PLAIN:
            return _hash("plain", repr(value))
        key = id(value)
        if key in self._known:
            return self._known[key][1]
        if key in self._open:
            return _hash("again", str(list(self._open).index(key)))
        self._open[key] = value
        try:
            found = _hash(*self._parts(value))
        except RecursionError:
            raise ValueError(f"a {type(self._outermost).__name__} is nested too deeply to be described") from None
        finally:
            del self._open[key]
        self._known[key] = value, found
        return found

    @property
    def _outermost(self) -> Any:
        return next(iter(self._open.values()), None)

    def each(self, values: Iterable[Any]) -> Iterator[bytes]:
        return map(self.of, values)

    def _parts(self, value: Any) -> Iterable[str | bytes | memoryview]:
        """The kind of the value and its parts, which tell it from all others."""
        kind = type(value)
        if kind in (list, tuple):
            plain = all(type(part) in _PLAIN for part in value)  # one pass over millions of labels or names
            return kind.__name__, *([repr(value)] if plain else self.each(value))
        if kind in (dict, OrderedDict):
            return "dict", *self.each(part for item in value.items() for part in item)
        if kind in (set, frozenset):
            return "set", *sorted(self.each(value))
        if isinstance(value, np.generic) or kind in (np.ndarray, np.memmap):
            return self._array(np.asarray(value))
        if hasattr(kind, "__described__"):
            return "described", self.of(kind), self.of(value.__described__())
        torch = sys.modules.get("torch")  # without it there are no tensors
        if torch is not None and isinstance(value, torch.Tensor):
            return self._tensor(value)
        if torch is not None and isinstance(value, torch.nn.Module):
            return self._network(value)
        return self._code(value) or self._pickled(value)

    def _array(self, array: np.ndarray) -> Iterable[str | bytes | memoryview]:
        if array.dtype.hasobject:
            return "objects", str(array.shape), *self.each(array.reshape(-1).tolist())
        entries = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return "array", str(array.dtype.descr), str(array.shape), entries.data

    def _tensor(self, tensor: Any) -> Iterable[str | bytes | memoryview]:
        shown = "tensor", str(tensor.dtype), str(tuple(tensor.shape)), str(tensor.requires_grad)
        if tensor.is_meta:
            return shown
        plain = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
        entries = plain.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        return *shown, entries.view(sys.modules["torch"].uint8).numpy().data

    # Networks

    def _network(self, network: Any) -> Iterable[str | bytes]:
        """Its class, weights, buffers and parts by name, hooks, and what else it was given."""
        torch = sys.modules["torch"]
        kind, generated = torch.nn.Module, isinstance(network, torch.fx.GraphModule | torch.jit.ScriptModule)
        own = {} if generated else {name: v for name, v in vars(network).items() if name not in vars(kind())}
        hooks = [list(getattr(network, name).values()) for name in _HOOKS]
        parts = (network._parameters, network._buffers, network._modules)
        whole = sum(isinstance(value, kind) for value in self._open.values()) == 1
        return (
            "network",
            self.of(network.code if generated else type(network)),
            *self.each((own, hooks, *(dict(part.items()) for part in parts))),
            self.of(_bonds(network) if whole else None),
        )

    # Code

    def _code(self, value: Any) -> Iterable[str | bytes] | None:
        """Functions, classes, modules and what wraps them; None for everything else."""
        if isinstance(value, ModuleType):
            return "module", value.__name__, _version(value.__name__)
        if isinstance(value, FunctionType | type) and _is_installed(value):
            return "installed", value.__module__, value.__qualname__, _version(value.__module__)
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            own = {name: part for name, part in sorted(vars(value).items()) if name not in _UNSAID}
            return "class", value.__qualname__, *self.each(value.__bases__), self.of(own)
        if isinstance(value, CodeType):
            return self._bytecode(value)
        if isinstance(value, MethodType):
            return "method", self.of(value.__func__), self.of(value.__self__)
        if isinstance(value, BuiltinFunctionType):
            return "builtin", value.__qualname__, self.of(value.__self__)
        if isinstance(value, property):
            return "property", *self.each((value.fget, value.fset, value.fdel))
        if isinstance(value, staticmethod | classmethod | functools._lru_cache_wrapper):
            return type(value).__name__, self.of(value.__wrapped__)
        if isinstance(value, functools.cached_property):
            return "cached_property", self.of(value.func)
        if type(value).__name__ in _DESCRIPTORS:
            return type(value).__name__, value.__qualname__
        return None

    def _function(self, function: FunctionType) -> Iterable[str | bytes]:
        code = function.__code__
        cells = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
        given = (function.__defaults__, function.__kwdefaults__, cells, vars(function))
        return "function", self.of(code), *self.each(given), *self._globals(function)

    def _globals(self, function: FunctionType) -> Iterator[bytes]:
        """What the bytecode reads by name, and of a module that is no package's the parts that it may read."""
        names, imports = _names_read(function.__code__)
        known = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
        known |= {name: module for name in sorted(imports) if (module := _imported(name)) is not None}
        for name, value in known.items():
            yield from self.each((name, value))
            if isinstance(value, ModuleType) and not _is_library(value.__name__):
                yield from self.each((part, vars(value)[part]) for part in sorted(names) if part in vars(value))

    def _bytecode(self, code: CodeType) -> Iterable[str | bytes]:
        shape = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _FUTURE
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        return "code", code.co_code, code.co_exceptiontable, *self.each((*shape, *names, code.co_consts))

    # Everything else

    def _pickled(self, value: Any) -> Iterable[str | bytes]:
        """As pickle would: how it is made again, from what, and its state."""
        try:
            reduced = value.__reduce_ex__(4)
        except (TypeError, AttributeError, RuntimeError, NotImplementedError) as error:
            raise ValueError(
                f"{type(self._outermost).__name__} holds a {type(value).__name__}, which cannot be described, so "
                f"scores that depend on it cannot be kept: {said(error, 120)}"
            ) from None
        if isinstance(reduced, str):
            return "global", str(getattr(value, "__module__", "")), reduced
        made, arguments, *rest = reduced
        state, items, pairs = (*rest[:3], None, None, None)[:3]
        parts = made, arguments, state, None if items is None else list(items), None if pairs is None else list(pairs)
        return "object", *self.each(parts)


def _hash(*parts: str | bytes | memoryview) -> bytes:
    """SHA-256 of the parts, each behind its length."""
    hashed = sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.digest()


def _bonds(network: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Of a whole network: weights that are one under several names, and parts that stay in evaluation mode."""
    first: dict[int, str] = {}
    tied = [
        (name, first[id(weight)])
        for name, weight in network.named_parameters(remove_duplicate=False)
        if first.setdefault(id(weight), name) != name
    ]
    resting = [name for name, part in network.named_modules() if network.training and not part.training]
    return tied, resting


def _is_empty(cell: Any) -> bool:
    """Whether nothing was put into this cell of a closure yet."""
    try:
        cell.cell_contents  # noqa: B018  # to see whether it raises
    except ValueError:
        return True
    return False


def _names_read(code: CodeType) -> tuple[set[str], set[str]]:
    """Global and attribute names that the code reads, and modules that it imports; those of functions in it, too."""
    names, imports = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "LOAD_METHOD"):
            names.add(instruction.argval)
        elif instruction.opname == "IMPORT_NAME":
            imports.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            more = _names_read(constant)
            names, imports = names | more[0], imports | more[1]
    return names, imports


def _imported(name: str) -> ModuleType | None:
    """The module of that name; None where it cannot be imported, as the function itself cannot then."""
    try:
        return importlib.import_module(name)
    except Exception:  # whatever a module of the user's raises
        return None


def _is_installed(value: Any) -> bool:
    """Whether a package or Python itself defines this function or class under its name."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None or not _is_library(module.__name__):
        return False
    found: Any = module
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


@functools.cache
def _is_library(name: str) -> bool:
    """Whether a module belongs to Python, to natrl, or to an installed package."""
    top = name.partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    if top == "natrl" or file is None:
        return top == "natrl" or top in sys.builtin_module_names
    path = Path(file)  # a user's module may be called like one of Python's
    return _STANDARD in path.parents or bool({"site-packages", "dist-packages"} & set(path.parts))


def _version(name: str) -> str:
    """Of the package that a module belongs to; "" where it has none."""
    top = sys.modules.get(name.partition(".")[0])
    return str(getattr(top, "__version__", "")) if top is not None and _is_library(name) else ""
