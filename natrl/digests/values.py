"""What values hold, as bytes that are hashed. Code is in natrl.digests.code."""

from __future__ import annotations

import copyreg
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np

from natrl.checks.errors import said
from natrl.digests.code import code_parts

__all__ = ["digest"]

_PLAIN = (type(None), type(...), bool, int, float, complex, str, bytes)
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
        if (code := code_parts(value)) is not None:
            return *code[0], *self.each(code[1])
        return self._pickled(value)

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

    def _pickled(self, value: Any) -> Iterable[str | bytes]:
        """As pickle would: how it is made again, from what, and its state."""
        try:
            reducer = copyreg.dispatch_table.get(type(value))
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
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
