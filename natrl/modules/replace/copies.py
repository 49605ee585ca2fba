"""Deep copies of a user's network, and whether they stand for it: natrl replaces layers in copies.

copy.deepcopy does not copy functions. A hook, a replaced forward or an attribute that closes over a part of the network
goes on using that part of the original, whatever is replaced or trained in the copy. Such networks are refused before
anything runs, by the attribute; what is reached otherwise (a global, an attribute of a class) is refused when a copy's
forward pass is about to use it (`OriginalModel`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CellType
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from natrl.checks.errors import summary
from natrl.modules.replace.fast_paths import asked_before_calls, calling_parts
from natrl.modules.trace.reach import attributes, reached, storage_key

__all__ = ["NotTheModelError", "OriginalModel", "copied", "where"]

REASON = "natrl replaces layers in a deep copy"
COPYING = f"{REASON}, so take out what copy.deepcopy cannot copy"
FUNCTIONS = f"{REASON}, and copy.deepcopy copies no functions: use a method of the class instead"


class NotTheModelError(ValueError):
    """A copy of a network uses the network itself."""


def copied(model: nn.Module, replaced: Mapping[nn.Module, nn.Module] | None = None) -> nn.Module:
    """A deep copy in which other modules stand for some, wherever the model refers to them.

    ValueError naming the attribute where the model cannot be copied.
    """
    replaced = replaced or {}
    try:
        found = copy.deepcopy(model, {id(old): new for old, new in replaced.items()})
    except Exception as error:
        kind, reason = type(model).__name__, _uncopied(model) or summary(error)
        raise ValueError(f"{kind} cannot be copied ({reason}): {COPYING}") from None
    for old, new in replaced.items():
        vars(new).update(asked_before_calls(old))
    return calling_parts(found, replaced.values())


def _uncopied(model: nn.Module) -> str | None:
    """Which attribute cannot be copied, and why; None where it is none by itself."""
    for name, module in model.named_modules():
        for label, value in attributes(module):
            try:
                copy.deepcopy(value, {id(m): m for m in model.modules()})
            except Exception as error:
                whose = f"the {label} of {where(name)}"
                if any(isinstance(t, Tensor) and not t.is_leaf for t in reached([value])):
                    graph = "a tensor with the graph of a forward pass; run the model under torch.no_grad() before"
                    return f"{type(error).__name__}: {whose} holds {graph}"
                return f"{summary(error)}: {whose}"
    return None


class OriginalModel:
    """A network and what belongs to it, so that nothing that runs on a copy can use it or change it."""

    def __init__(self, model: nn.Module) -> None:
        """ValueError naming the attribute where a deep copy would not stand for the model."""
        self._kind = type(model).__name__
        own = list(reached([model]))
        self._modules = {id(m): "a module of the original" for m in own if isinstance(m, nn.Module)}
        for name, module in model.named_modules():
            self._modules[id(module)] = f"the original's {where(name)}" if name else "the original itself"
        self._storages = {storage_key(t): "a tensor of the original" for t in own if isinstance(t, Tensor)}
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            self._storages[storage_key(tensor)] = f"the original's {name!r}"
        self._held = own  # an id stands for an object as long as that lives
        twin = copied(model)
        _check_same(model, twin)
        self._check_references(twin)

    def _check_references(self, twin: nn.Module) -> None:
        """ValueError where something in a copy refers to a part of the original."""
        fresh, modules = {id(found) for found in reached([twin])}, {id(module) for module in twin.modules()}
        self._shared: dict[int, tuple[str, Any]] = {}  # what functions refer to, and whose
        for name, module in twin.named_modules():
            if (part := self._part(module)) is not None:
                raise self._refusal(f"{where(name)} is not copied, but is {part}", COPYING)
            for label, value in attributes(module):
                for found in reached([value], functions=True, within=modules):
                    whose = f"the {label} of {where(name)}"
                    part = self._part(found)
                    if part is not None:
                        raise self._refusal(f"{whose} refers to {part} in every copy", FUNCTIONS)
                    if id(found) in fresh:
                        continue
                    if isinstance(found, Tensor) and found.requires_grad:
                        raise self._refusal(f"{whose} refers to a trained tensor that all copies share", FUNCTIONS)
                    self._shared.setdefault(id(found), (whose, found))

    def _part(self, found: Any) -> str | None:
        """Which part of the original this is, or shares its memory; None if it is none."""
        if isinstance(found, nn.Module):
            return self._modules.get(id(found))
        return self._storages.get(storage_key(found)) if isinstance(found, Tensor) else None

    def check_use(self, read: Iterable[Any], by: str) -> None:
        """ValueError before the layer `by` of a copy uses what belongs to the original."""
        for found in read:
            if (part := self._part(found)) is not None:
                raise self._refusal(
                    f"{where(by)} uses {part} in every copy",
                    f"{REASON}: refer to it through self, not through a global, a class or a closure",
                )

    def _refusal(self, what: str, why: str) -> NotTheModelError:
        return NotTheModelError(f"a copy of {self._kind} is not the model: {what} ({why})")

    @contextmanager
    def guarded(self, running: Callable[[], str]) -> Iterator[None]:
        """No module of the original is called here. `running` says which layer of a copy runs.

        What functions share among copies is put back. ValueError where something of that was changed.
        """
        before = {key: _contents(found) for key, (_, found) in self._shared.items()}
        handle = register_module_forward_pre_hook(lambda module, _: self.check_use([module], running()))
        try:
            yield
        finally:
            handle.remove()
            changed = [key for key, (_, found) in self._shared.items() if _put_back(found, before[key])]
        if changed:
            whose = self._shared[changed[0]][0]
            raise self._refusal(f"{whose} changes, in a forward pass, what all copies share", FUNCTIONS)


def _check_same(model: nn.Module, twin: nn.Module) -> None:
    """ValueError where a copy has other modules, tensors or values, or leaves out hooks of tensors."""
    ours, theirs = (dict(m.named_modules(remove_duplicate=False)) for m in (model, twin))
    for name in ours.keys() | theirs.keys():
        if type(ours.get(name)) is not type(theirs.get(name)):
            raise _unlike(model, f"{where(name)} is not of the same type in it")
    for (name, tensor), other in zip(_tensors(model), dict(_tensors(twin)).values(), strict=False):
        if not _equal(tensor, other):
            raise _unlike(model, f"{name!r} is not the same in it")
        if tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None):
            raise _unlike(model, f"the hook of {name!r} is missing in it")


def _unlike(model: nn.Module, what: str) -> NotTheModelError:
    return NotTheModelError(f"a copy of {type(model).__name__} is not the model: {what} ({COPYING})")


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _equal(a: Tensor, b: Tensor) -> bool:
    if (a.shape, a.dtype, a.device, a.requires_grad) != (b.shape, b.dtype, b.device, b.requires_grad):
        return False
    if a.is_meta or a.is_quantized:
        return True
    if a.layout is not torch.strided:
        a, b = a.to_dense(), b.to_dense()
    return torch.equal(a.nan_to_num(), b.nan_to_num())


def _contents(shared: Any) -> Any:
    """What a shared object holds now: a value to compare with, and to put back."""
    if isinstance(shared, Tensor):
        return shared.clone()
    if isinstance(shared, CellType):
        return [shared.cell_contents]
    if isinstance(shared, dict | list | set):
        return copy.copy(shared)
    return dict(vars(shared)) if hasattr(shared, "__dict__") else None


def _put_back(shared: Any, before: Any) -> bool:
    """Whether what a shared object holds was changed; then it holds what it did before."""
    now = _contents(shared)
    if isinstance(shared, Tensor):
        same = _equal(now, before)
    elif isinstance(now, dict):
        same = now.keys() == before.keys() and all(now[key] is before[key] for key in now)
    elif isinstance(now, set):
        same = set(map(id, now)) == set(map(id, before))
    else:
        same = now is None or (len(now) == len(before) and all(a is b for a, b in zip(now, before, strict=True)))
    if same:
        return False
    if isinstance(shared, Tensor):
        shared.copy_(before)
    elif isinstance(shared, CellType):
        (shared.cell_contents,) = before
    else:
        held = shared if isinstance(shared, dict | list | set) else vars(shared)
        held.clear()
        held.extend(before) if isinstance(held, list) else held.update(before)
    return True


def where(name: str) -> str:
    """How a layer is called in a message."""
    return f"layer {name!r}" if name else "the model"
