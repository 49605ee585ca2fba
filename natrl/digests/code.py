"""What functions, classes and modules consist of: their bytecode, and the values that it reads."""

from __future__ import annotations

import dis
import functools
import importlib
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from natrl.digests.libraries import is_installed, is_library, version_of

__all__ = ["code_parts"]

Parts = tuple[tuple[str | bytes, ...], Iterable[Any]]

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


def code_parts(value: Any) -> Parts | None:
    """Texts that name a function, class, module or what wraps one, and the values in it; None for everything else."""
    kind = type(value).__name__
    if isinstance(value, ModuleType):
        return ("module", value.__name__, version_of(value.__name__)), ()
    if isinstance(value, FunctionType | type) and is_installed(value):
        return ("installed", value.__module__, value.__qualname__, version_of(value.__module__)), ()
    if isinstance(value, FunctionType):
        return ("function",), _of_function(value)
    if isinstance(value, type):
        own = {name: part for name, part in sorted(vars(value).items()) if name not in _UNSAID}
        return ("class", value.__qualname__), (*value.__bases__, own)
    if isinstance(value, CodeType):
        return _bytecode(value)
    if isinstance(value, MethodType):
        return ("method",), (value.__func__, value.__self__)
    if isinstance(value, BuiltinFunctionType):
        return ("builtin", value.__qualname__), (value.__self__,)
    if isinstance(value, property):
        return ("property",), (value.fget, value.fset, value.fdel)
    if isinstance(value, staticmethod | classmethod | functools._lru_cache_wrapper):
        return (kind,), (value.__wrapped__,)
    if isinstance(value, functools.cached_property):
        return ("cached_property",), (value.func,)
    return ((kind, value.__qualname__), ()) if kind in _DESCRIPTORS else None


def _bytecode(code: CodeType) -> Parts:
    shape = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _FUTURE
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return ("code", code.co_code, code.co_exceptiontable), (*shape, *names, code.co_consts)


def _of_function(function: FunctionType) -> Iterator[Any]:
    yield function.__code__
    yield function.__defaults__
    yield function.__kwdefaults__
    yield [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    yield vars(function)
    yield from _globals(function)


def _globals(function: FunctionType) -> Iterator[Any]:
    """What the bytecode reads by name, and of a module that is no package's the parts that it may read."""
    names, imports = _names_read(function.__code__)
    known = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
    known |= {name: module for name in sorted(imports) if (module := _imported(name)) is not None}
    for name, value in known.items():
        yield from (name, value)
        if isinstance(value, ModuleType) and not is_library(value.__name__):
            yield from ((part, vars(value)[part]) for part in sorted(names) if part in vars(value))


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
