"""Whatever has a name: built in, registered by a user, of an installed package, or "module:object".

A registry a kind of thing: spaces, rewards, data sets, schedules … What is built in is registered as a user's own is.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from reprlib import repr as short
from typing import Any, Generic, TYPE_CHECKING, TypeVar

from natrl.checks.kinds import Adapt

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["CallableError", "Entry", "Registry", "find_object", "in_one_line", "returned_by"]

T = TypeVar("T")


class CallableError(ValueError):
    """There is no such object, or code of the user's raised; the message says which, in one line."""


@dataclass(frozen=True)
class Entry:
    """A name and what it stands for."""

    name: str
    target: Any  # the object, or "module:object", which is imported when it is asked for
    description: str = ""  # one line
    arguments: tuple[str, ...] = ()  # what may follow the name and a colon, as in "folder:PATH"; empty: nothing

    @property
    def forms(self) -> tuple[str, ...]:
        """How it is written."""
        return tuple(f"{self.name}:{argument}" for argument in self.arguments) or (self.name,)


class Registry(Generic[T]):
    """The things of one kind, by name; an object itself is taken wherever its name is.

    `kind` is how errors call them; `adapt` gives an object as its place needs it, or raises ValueError "expected …";
    `group` is the group of entry points in which installed packages offer more; `key` says which names are the same.
    """

    def __init__(self, kind: str, adapt: Adapt[T], *, group: str, key: Callable[[str], str] = str) -> None:
        self.kind, self.group = kind, group
        self._adapt, self._key = adapt, key
        self._entries: dict[str, Entry] = {}  # with those that have no name but "module:object", and came to a worker
        self._made: Counter[str] = Counter()  # names, each for one object, though that may have been forgotten

    def register(self, name: str, target: Any, description: str = "", *, arguments: tuple[str, ...] = ()) -> Entry:
        """Makes an object, or the "module:object" that it is, known by a name. ValueError if the name is taken."""
        if not isinstance(name, str) or not name or ":" in name:
            raise ValueError(f"the name of a {self.kind} must be text without a colon, got {short(name)}")
        if self._same(name) in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        if not isinstance(target, str):
            self._adapted(target, repr(name))
        return self._entries.setdefault(self._same(name), Entry(name, target, description, arguments))

    def entries(self) -> tuple[Entry, ...]:
        """All that is registered, then what installed packages offer, which is not imported for it."""
        offered = (Entry(p.name, p.value, f"of {_package(p)}") for p in self._offers())
        registered = tuple(entry for entry in self._entries.values() if ":" not in entry.name)
        return (*registered, *(entry for entry in offered if self._same(entry.name) not in self._entries))

    def names(self) -> tuple[str, ...]:
        """The names of `entries`."""
        return tuple(dict.fromkeys(entry.name for entry in self.entries()))

    def get(self, name: Any) -> T:
        """The object of that name (an object of the kind is returned as it is).

        ValueError in one line lists the known names, or says why "module:object" or a package's offer is none.
        """
        return self.find(name)[0]

    def find(self, name: Any) -> tuple[T, str]:
        """`get`, and the argument that follows the name: of "folder:PATH" what reads folders, and "PATH"."""
        if not isinstance(name, str):
            return self._adapted(name), ""
        entry, argument = self._registered(name)
        return self._adapted(self._object(name, entry), repr(name)), argument

    def own(self, name: str) -> Entry | None:
        """What this process alone knows by that name, to be sent to others; None of what every process finds."""
        entry, _ = self._registered(name)
        if entry is None:
            return Entry(name, self._object(name, None)) if ":" in name else None
        return None if self.is_ours(name) else replace(entry, target=self._object(name, entry))

    def is_ours(self, name: str) -> bool:
        """Whether natrl registered it."""
        entry, _ = self._registered(name)
        return entry is not None and isinstance(entry.target, str) and entry.target.startswith("natrl.")

    def unheard(self, name: str) -> str:
        """One line where installed packages offer something under a name that is taken; else empty."""
        entry, _ = self._registered(name)
        offers = [] if entry is None else self._offered(entry.name)
        others = " and ".join(f"that of {_package(offer)} ({offer.value})" for offer in offers)
        return f"{self.kind} {name!r} is the registered one, not {others}: name that as module:object" if offers else ""

    def remember(self, entry: Entry) -> None:
        """Takes what `own` gave into this process, a Ray worker, unless it knows the name by itself."""
        if ":" not in entry.name or _loaded(entry.name) is None:
            self._entries.setdefault(self._same(entry.name), entry)

    def name_of(self, given: Any) -> str:
        """The name of an object, by which `get` finds it in this process; text is returned as it is.

        It is a name that other processes know, too, where there is one: that of a global of a module. ValueError if the
        object is none of the kind.
        """
        if isinstance(given, str):
            return given
        self._adapted(given)
        if name := self.known(given):
            return name
        kind = given if hasattr(given, "__qualname__") else type(given)
        made = f"{kind.__module__}:{kind.__qualname__}" + "()" * (kind is not given)
        self._made[made] += 1
        name = f"{made}#{self._made[made]}" if self._made[made] > 1 else made
        self._entries[name] = Entry(name, given)
        return name

    @contextmanager
    def lent(self, given: Any) -> Iterator[str]:
        """`name_of` for the body; then an object that had no other name is forgotten, and the memory that it takes."""
        had = not isinstance(given, str) and self.known(given)
        name = self.name_of(given)
        try:
            yield name
        finally:
            if name not in (given, had):
                del self._entries[name]

    def known(self, given: Any) -> str:
        """The name under which an object can be found; empty where it has none."""
        named = (entry.name for entry in self._entries.values() if given is not None and _loaded(entry.target) is given)
        return next(named, "") or _global(given)

    def _offers(self) -> list[EntryPoint]:
        from importlib.metadata import entry_points  # which takes longer than the rest of natrl.registry

        return sorted(entry_points(group=self.group))

    def _offered(self, name: str) -> list[EntryPoint]:
        return [offer for offer in self._offers() if self._same(offer.name) == self._same(name)]

    def _same(self, name: str) -> str:
        return name if ":" in name else self._key(name)

    def _registered(self, name: str) -> tuple[Entry | None, str]:
        """The entry of "name" or "name:argument"."""
        entry = self._entries.get(self._same(name))
        if entry is not None and not entry.arguments:
            return entry, ""
        first, _, argument = name.partition(":")
        entry = self._entries.get(self._key(first)) if argument else None
        return (entry, argument) if entry is not None and entry.arguments else (None, "")

    def _object(self, name: str, entry: Entry | None) -> Any:
        what = f"{self.kind} {name!r}"
        if entry is not None:
            return find_object(entry.target, what) if isinstance(entry.target, str) else entry.target
        if ":" in name:
            return find_object(name, what)
        offers = self._offered(name)
        if len(offers) > 1:
            raise ValueError(f"{what} is offered by {' and '.join(map(_package, offers))}; name one as module:object")
        if offers:
            return find_object(offers[0].value, f"{what} of {_package(offers[0])}")
        known = [form for entry in self.entries() for form in entry.forms]
        raise ValueError(f"unknown {self.kind} {short(name)}; known: {', '.join(known)}, module:object")

    def _adapted(self, found: Any, name: str = "") -> T:
        try:
            return self._adapt(found)
        except ValueError as error:
            raise ValueError(f"{self.kind}{' ' * bool(name)}{name}: {error}") from None


def find_object(target: str, what: str) -> Any:
    """The object "module:object", looked for in the current folder too.

    ValueError in one line, which begins with `what` is wanted, where there is none, or its module raises anything.
    """
    name, _, attributes = target.partition(":")
    if not attributes:
        raise CallableError(f"{what}: expected module:object")
    with _current_folder_on_path(), in_one_line(f"{what}: the module raised"):
        try:
            module = import_module(name)
        except (ModuleNotFoundError, ValueError) as error:
            raise CallableError(f"{what}: {error} (in {os.getcwd()} or on Python's path)") from None
    try:
        return reduce(getattr, attributes.split("."), module)
    except AttributeError:
        again = "; the program that made it has to make it again" if "(" in attributes or name == "__main__" else ""
        raise CallableError(f"{what}: module {name!r} has no {attributes!r}{again}") from None


def returned_by(function: Callable[..., T], what: str, **arguments: Any) -> T:
    """What a function of the user's returns; the current folder is on the path meanwhile.

    ValueError in one line, which begins with `what` is wanted, where it raises anything. natrl's own are just called.
    """
    if getattr(function, "func", function).__module__.startswith("natrl."):
        return function(**arguments)
    with _current_folder_on_path(), in_one_line(f"{what}: the function raised"):
        return function(**arguments)


@contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """CallableError for whatever the user's code raises, SystemExit too; that the user interrupts it stays so."""
    try:
        yield
    except (KeyboardInterrupt, CallableError):
        raise
    except BaseException as error:
        said = " ".join(str(error).split())
        raise CallableError(f"{what} {type(error).__name__}{f': {said}' if said else ''}") from error


@contextmanager
def _current_folder_on_path() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _loaded(target: Any) -> Any:
    """What "module:object" stands for in a module that is imported already, else None; an object as it is."""
    if not isinstance(target, str):
        return target
    module, _, attributes = target.partition(":")
    return getattr(sys.modules.get(module), attributes, None)


def _global(given: Any) -> str:
    """ "module:object", if it is a global of a module that another process can import; else empty."""
    for name, module in list(sys.modules.items()):
        if name != "__main__":
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is given:
                    return f"{name}:{attribute}"
    return ""


def _package(offer: EntryPoint) -> str:
    return f"package {offer.dist.name}" if offer.dist else f"entry point {offer.value!r}"
