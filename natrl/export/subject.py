"""What an export is made from and checked against: a network, its example, and other inputs of the same kind.

B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain, islice
from keyword import iskeyword
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn.parallel import DataParallel, DistributedDataParallel

from natrl.modules.replace.copies import copied
from natrl.modules.trace.sandbox import check_model, example_tensors, failure, forward_signature, random_numbers_kept

__all__ = ["Subject", "fitted", "is_same", "run"]

Change = Callable[[int, int], tuple[int, int]]  # from rows and columns

SIZES = 3  # other sizes that are tried, of those at which the network runs
AXES = ((2, 3), (1,))  # rows and columns of images or the length of sequences (B, C, L); that of sequences (B, L, …)
#: Other rows and columns, odd ones first: what runs at multiples alone runs at one of the others.
CHANGES: tuple[Change, ...] = (
    lambda rows, columns: (rows + 7, columns + 3),
    lambda rows, columns: (rows // 2, columns // 2),
    lambda rows, columns: (2 * rows, columns),
    lambda rows, columns: (rows + 32, columns + 64),
    lambda rows, columns: (2 * rows, 2 * columns),
)
SMALLER: tuple[Change, ...] = (
    lambda rows, columns: (rows // 8, columns // 4),
    lambda rows, columns: (rows // 4, columns // 2),
    lambda rows, columns: (rows // 2, columns),
)
ODD: tuple[Change, ...] = (
    lambda rows, columns: (rows // 4 | 1, columns // 2 | 1),
    lambda rows, columns: (rows // 2 | 1, columns | 1),
)


@dataclass(frozen=True)
class Subject:
    """A copy of a network on the CPU in evaluation mode, and its example inputs (B, …)."""

    name: str  # of the network's class
    model: nn.Module
    inputs: tuple[Tensor, ...]

    @staticmethod
    def of(model: nn.Module, example: Tensor | tuple[Tensor, ...]) -> Subject:
        """The model stays as it is. ValueError in one line where it is no network, or does not run on the example."""
        inner = _Wrapper(model.module) if isinstance(model, DataParallel | DistributedDataParallel) else model
        check_model(inner)
        _check_values(inner)
        copy = copied(inner).eval().to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        own = next((p.dtype for p in copy.parameters() if p.is_floating_point()), torch.float32)
        given = (t.cpu() for t in example_tensors(example))
        found = Subject(type(model).__name__, copy, tuple(t.to(own) if t.is_floating_point() else t for t in given))
        try:
            run(found.copy(), found.inputs)
        except Exception as error:
            raise ValueError(failure(model, found.inputs, error)) from None
        return found

    def copy(self) -> nn.Module:
        """Another copy, as networks may keep what they saw."""
        return deepcopy(self.model).eval()  # copies of a fx.GraphModule are in training mode

    @property
    def input_names(self) -> list[str]:
        """Those of the forward method, as far as it has names for the example's inputs."""
        given = forward_signature(self.model).parameters.values()
        names = [p.name for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        return [names[i] if i < len(names) else f"input_{i}" for i in range(len(self.inputs))]

    def others(self) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
        """Inputs of other batches and other sizes at which the network runs, and what it gives for them."""
        batch = len(self.inputs[0])
        yield from self._running(_resized(self.inputs, b) for b in (1, batch + 1))
        other = (_resized(self.inputs, batch + 1, axes, change) for axes in AXES for change in CHANGES)
        yield from islice(self._running(other), SIZES)

    def smaller(self, batch: int, *, odd: bool = False) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
        """As `others`, of a batch and the smallest first, or the smallest odd ones; at the end the example's sizes."""
        sizes = (_resized(self.inputs, batch, AXES[0], change) for change in (*(ODD if odd else SMALLER), *CHANGES))
        return self._running(chain(sizes, (_resized(self.inputs, b) for b in (batch, len(self.inputs[0])))))

    def _running(self, variants: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
        for inputs in variants:
            try:
                yield inputs, run(self.copy(), inputs)
            except Exception:  # the network itself does not run there: so need nothing that is made from it
                continue


class _Wrapper(nn.Module):
    """Stands for one that spreads over devices: what it calls, under the name that it has there."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any) -> Any:
        return self.module(*inputs)


@torch.no_grad()
def run(model: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """What a network gives for copies of the inputs, always with the same random numbers."""
    with random_numbers_kept(torch.device("cpu")):
        return model(*(t.clone() for t in inputs))


def is_same(a: Any, b: Any) -> bool:
    """Whether two outputs hold the same, to the last bit, in the same lists, tuples and mappings."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        same = a.shape == b.shape and a.dtype == b.dtype
        return same and bool(((a == b) | (a.isnan() & b.isnan())).all())
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_same, a, b))
    return type(a) is type(b) and a == b


def _check_values(model: nn.Module) -> None:
    """ValueError where weights are not there, or no code can name them."""
    for name in model.state_dict():
        if any(map(iskeyword, name.split("."))):
            raise ValueError(
                f"{name!r} has a word in it that Python reserves, so no code can name it: call it otherwise"
            )
    for name, module in model.named_modules():
        if any(t.is_meta for t in (*module.parameters(recurse=False), *module.buffers(recurse=False))):
            raise ValueError(f"layer {name!r} is on the meta device, where weights have no values")


def fitted(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor repeated or cut to another shape with as many axes."""
    for axis, size in enumerate(shape):
        tensor = tensor.index_select(axis, torch.arange(size) % tensor.shape[axis])
    return tensor


def _resized(
    inputs: tuple[Tensor, ...], batch: int, axes: Sequence[int] = (), change: Change | None = None
) -> tuple[Tensor, ...]:
    """The inputs with another batch and, along one or two axes, other sizes."""
    found = []
    for tensor in inputs:
        shape = list(tensor.shape)
        new = {0: batch}
        if change is not None:
            rows, columns = (shape[axis] if axis < len(shape) else 1 for axis in (*axes, len(shape))[:2])
            new |= dict(zip(axes, change(rows, columns), strict=False))
        found.append(fitted(tensor, [max(new.get(axis, n), 1) for axis, n in enumerate(shape)]))
    return tuple(found)
