"""What nulls leave behind: layers that only nulls feed, or that only nulls would read, are left out as well.

A null contributes exactly zero: the batch-norm behind it, which would make a constant of zeros, is left out with it,
and so is a depthwise convolution between two layers that became null. B architectures, F calls of layers in a trace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from torch import nn

from natrl.core.operations import Cost
from natrl.modules.replace.geometry import CONVOLUTIONS
from natrl.modules.replace.layers import is_tampered_with, shared_weights
from natrl.modules.trace.forward import Trace

__all__ = ["Leftovers", "can_be_left_out"]


def can_be_left_out(model: nn.Module, traces: Sequence[Trace], slots: Collection[str]) -> dict[str, Cost]:
    """Layers besides the slots for which zeros of the right shape can stand, and what they cost for one image.

    `traces` in evaluation mode and, if there is one, in training mode.
    """
    costs: dict[str, Cost] = {}
    shared = shared_weights(model)
    for name in [name for name in _layers(traces) if name and name not in slots]:
        module = model.get_submodule(name)
        shapes = [flow.shapes for traced in traces for flow in traced.flows if flow.layer == name]
        tied = any(part in shared for part, _ in module.named_modules(prefix=name))
        if _has_state(module) and not tied and not is_tampered_with(module) and _is_simple(module, shapes):
            costs[name] = traces[0].cost_of(name, module)
    return costs


def _layers(traces: Iterable[Trace]) -> list[str]:
    """Each once, as they were called."""
    return list(dict.fromkeys(flow.layer for traced in traces for flow in traced.flows))


def _has_state(module: nn.Module) -> bool:
    return bool(module._parameters or module._buffers)


def _is_simple(module: nn.Module, shapes: Iterable[tuple[tuple[int, ...], tuple[int, ...]] | None]) -> bool:
    """Whether the shape of what it gives is known from what it reads."""
    known = type(module) in (*CONVOLUTIONS, nn.Linear)
    return all(shape is not None and (known or shape[0] == shape[1]) for shape in shapes)


class Leftovers:
    """Which layers of a network are left out, given which slots are null."""

    def __init__(
        self, model: nn.Module, traces: Sequence[Trace], slots: Collection[str], costs: Mapping[str, Cost]
    ) -> None:
        """`costs`: of the layers that can be left out."""
        self.costs = dict(costs)
        self._traces, self._slots = tuple(traces), frozenset(slots)
        stateless = {name for name in _layers(traces) if not _has_state(model.get_submodule(name))}
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._parameters = list(names.values())
        self._own = {
            name: [names[id(parameter)] for parameter in model.get_submodule(name).parameters()]
            for name in _layers(traces)
        }
        self._keeps_zeros = (self.costs.keys() | stateless) - self._slots
        self._idle = {name: not alive[0] for name, alive in self._alive({}, 1).items()}  # in the network as it is

    def gone(self, nulls: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
        """bool (B,) for each layer that can be left out; `nulls` bool (B,): which slots are null, by name."""
        alive = self._alive(nulls, count)
        return {name: ~alive[name] & (not self._idle[name]) for name in self.costs}

    def untrained(self, nulls: Mapping[str, np.ndarray]) -> set[str]:
        """The parameters that have a gradient in the network as it is, and none with these slots null (1,).

        Those of layers that stay, and bare ones in front of what is null.
        """
        return self._trained({}) - self._trained(nulls)

    def _trained(self, nulls: Mapping[str, np.ndarray]) -> set[str]:
        found: set[str] = set()
        for traced in self._traces:
            alive = self._alive_calls(traced, nulls, 1)[0]
            flows = [flow for flow, is_alive in zip(traced.flows, alive, strict=True) if is_alive]
            read = traced.ends.union(*(flow.reads for flow in flows))
            found |= {name for i, name in enumerate(self._parameters) if -1 - i in read}
            found |= {name for flow in flows for name in self._own[flow.layer]}
        return found

    def _alive(self, nulls: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
        """bool (B,) for each layer: in one of the modes more than zeros comes in, and its output is used."""
        found: dict[str, np.ndarray] = {}
        for traced in self._traces:
            alive = self._alive_calls(traced, nulls, count)
            for i, flow in enumerate(traced.flows):
                found[flow.layer] = found.get(flow.layer, np.zeros(count, dtype=bool)) | alive[:, i]
        return found

    def _alive_calls(self, traced: Trace, nulls: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        """bool (B, F)."""
        first = traced.inputs
        zero, used = np.zeros((2, count, first + len(traced.flows)), dtype=bool)
        reads = [sorted(n for n in flow.reads if n >= 0) for flow in traced.flows]
        for i, flow in enumerate(traced.flows, start=first):
            if flow.layer in self._slots:
                zero[:, i] = nulls.get(flow.layer, False)
            elif flow.layer in self._keeps_zeros and reads[i - first]:
                zero[:, i] = zero[:, reads[i - first]].all(1)
        used[:, sorted(n for n in traced.ends if n >= 0)] = True
        for i in reversed(range(first, first + len(traced.flows))):
            used[:, reads[i - first]] |= (used[:, i] & ~zero[:, i])[:, None]
        return (used & ~zero)[:, first:]
