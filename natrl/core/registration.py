"""Operations that natrl does not bring: registered here, or received from another process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from reprlib import repr as short
from typing import Any, ParamSpec, TypeVar

from natrl.checks.arguments import checked
from natrl.core.operations import (
    ALIASES,
    BUILT_IN,
    Cost,
    KERNELS,
    NAMES_OF,
    Operation,
    operation,
    Record,
    RECORDS,
    Stages,
    TYPE_RANK,
    TYPES,
    VOCABULARY,
    VOCABULARY_INDEX,
)

__all__ = ["check_builders", "receive_operations", "register_operation", "registered_operations", "vocabulary_cache"]

P = ParamSpec("P")
T = TypeVar("T")

_RECEIVED: set[str] = set()  # operations that another process registered
_CACHES: list[Callable[[], None]] = []


def vocabulary_cache(maxsize: int | None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """`lru_cache` for what has a row for each operation of the vocabulary: forgotten when one is registered."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        cached = lru_cache(maxsize)(function)
        _CACHES.append(cached.cache_clear)
        return cached  # type: ignore[return-value]  # called as the function is

    return decorate


@checked
def register_operation(
    name: str,
    *,
    type: str,
    kernel: int = 0,
    stages: Callable[[int, int, int], Stages] | None = None,
    cost: Callable[[int, int, int, int, int], Cost] | None = None,
    build: Callable[[int, int, int], Any] | str | None = None,
    may_become: Iterable[str] | None = None,
    color: str | None = None,
) -> Operation:
    """Makes an operation known by its name: to spaces, masks, costs, policies, pictures, and Ray's workers.

    `type` and `kernel` (pixels, 0: none) place it on the ladders of the rule; a type that is on none needs
    `may_become`, the names of what it may become besides itself, skip_connect and null (a name may come later). What
    `stages`, `cost` and `build` are: `Record`. `color`, "#rrggbb": of its type in pictures. ValueError if the name, or
    type and kernel, are taken, or something is missing.
    """
    if not isinstance(name, str) or not (name.isidentifier() and name.isascii()):
        raise ValueError(f"the name of an operation is a word of letters, digits and underscores, got {short(name)}")
    if not isinstance(kernel, int) or isinstance(kernel, bool) or kernel < 0:
        raise ValueError(f"operation {name!r}: kernel must be a whole number of at least 0, got {short(kernel)}")
    if may_become is None and type not in TYPE_RANK:
        known = ", ".join(TYPE_RANK)
        raise ValueError(
            f"operation {name!r}: type {short(type)} is on no ladder; say what it may become, or take one of {known}"
        )
    places = None if may_become is None else tuple(may_become)
    record = Record(name, Operation(type, kernel), stages, cost, build, places, color)
    if name in _RECEIVED and RECORDS[name].operation == record.operation:
        return RECORDS[name].operation  # the module that registered it elsewhere is imported here, too
    if name in VOCABULARY or name in ALIASES:
        raise ValueError(f"operation {name!r} is registered already")
    if (other := NAMES_OF.get((type, kernel))) is not None:
        raise ValueError(f"operation {name!r}: type {type!r} with kernel {kernel} is {other} already")
    _take(record)
    return record.operation


def _take(record: Record) -> None:
    op = record.operation
    if op.type not in TYPES:
        TYPES.append(op.type)
    if op.kernel not in KERNELS:
        KERNELS.append(op.kernel)
    VOCABULARY_INDEX[record.name] = len(VOCABULARY)
    VOCABULARY[record.name], RECORDS[record.name] = op, record
    NAMES_OF[op.type, op.kernel] = record.name
    for forget in _CACHES:
        forget()


def registered_operations() -> tuple[Record, ...]:
    """The records of operations that natrl does not bring, in the order of VOCABULARY."""
    return tuple(RECORDS.values())[len(BUILT_IN) :]


def receive_operations(records: Iterable[Record]) -> None:
    """Takes what another process registered; what is known here already stays as it is."""
    for record in records:
        if record.name not in VOCABULARY:
            _take(record)
            _RECEIVED.add(record.name)


def check_builders(names: Iterable[str]) -> None:
    """ValueError if an operation has neither builder nor stages, so that there are no networks of it."""
    for name in names:
        record = RECORDS[operation(name).name]
        if record.name == "block" or record.operation.is_width:
            raise ValueError(f"operation {record.name!r} is a part of a user's own network: there are no cells of it")
        if record.build is None and record.stages is None:
            raise ValueError(
                f"operation {record.name!r} has no builder: register it with build=, to have networks of it"
            )
