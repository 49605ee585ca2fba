"""Settings that name things of the user's: an object's name is kept, and what it stands for goes along to workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from natrl.checks.packages import needed
from natrl.core.registration import receive_operations, registered_operations
from natrl.registry import Entry, Registry

__all__ = ["Named"]


class Named:
    """A frozen dataclass of which some fields name what registries hold: a space, a head, an algorithm.

    In Python they take the object itself. Pickled, it holds what this process alone knows by those names, and the
    operations that the user registered; where it is unpickled, a Ray worker, the names are known then.
    """

    registries: ClassVar[Mapping[str, tuple[str, str]]] = {}  # of each such field: module and name; some take torch

    @classmethod
    def registry(cls, field: str) -> Registry[Any]:
        """What knows the names of a field."""
        registry: Registry[Any] = needed(*cls.registries[field])
        return registry

    def keep_names(self) -> None:
        """Puts its name in an object's place. ValueError where it is none of the kind."""
        for field in self.registries:
            if not isinstance(given := getattr(self, field), str):
                object.__setattr__(self, field, self.registry(field).name_of(given))

    def heeded(self) -> Iterable[str]:
        """The fields of `registries` that mean something."""
        return self.registries

    @property
    def own(self) -> dict[str, Entry]:
        """What fields only name, and this process alone knows."""
        named = {field: self.registry(field).own(getattr(self, field)) for field in self.heeded()}
        return {field: entry for field, entry in named.items() if entry is not None}

    def unheard(self) -> list[str]:
        """One line for each field whose name is taken, so that what an installed package offers is not meant."""
        lines = (self.registry(field).unheard(getattr(self, field)) for field in self.heeded())
        return [line for line in lines if line]

    def __getstate__(self) -> dict[str, Any]:
        own, operations = self.own, registered_operations()
        if own or operations:
            from natrl.evaluation.user_code import share_user_code  # which takes Ray

            share_user_code()
        return {**vars(self), "own": own, "operations": operations}

    def __setstate__(self, state: dict[str, Any]) -> None:
        own: dict[str, Entry] = state.pop("own", None) or {}
        receive_operations(state.pop("operations", ()))
        vars(self).update(state)
        for field, entry in own.items():
            self.registry(field).remember(entry)
