"""Channels as slots: which groups of a network can get narrower, where they stand in its graph, and what they save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn, Tensor

from natrl.checks.errors import summary
from natrl.core.operations import WIDTHS
from natrl.modules.replace.copies import copied
from natrl.modules.replace.rules import Choice
from natrl.modules.replace.width_costs import narrow_costs, WidthCosts
from natrl.modules.replace.widths import Ends, ends_of, Narrowing, sizes_of, WidthSlot
from natrl.modules.slots import LAYER_PRIMITIVES
from natrl.modules.space import ModuleSlot
from natrl.modules.trace.contraction import Contraction, Sources
from natrl.modules.trace.forward import Trace
from natrl.modules.trace.graph import build_graph, Graph
from natrl.modules.trace.groups import Group
from natrl.modules.trace.sandbox import random_numbers_kept, Sandbox
from natrl.modules.trace.torch_operations import tensors

__all__ = ["Widths", "with_widths"]

TOLERANCE = 1e-3  # of the largest output: how far a narrower network may be from one that reads zeros


def with_widths(
    inputs: int, contraction: Contraction, strides: Mapping[int, int], joints: Mapping[str, Sources]
) -> tuple[Graph, dict[str, int]]:
    """The cell in which the channels of each group pass a slot of their own, and by producer that slot's index.

    `joints`: by producer what all that comes of the group passes (`Widths.joints`). Whatever reads that reads the slot.
    """
    if not joints:
        return build_graph(inputs, contraction.reads, contraction.outputs, strides, "network"), {}
    after = {n: inputs + 2 * (n - inputs) for n in contraction.layers}  # room for a slot after each
    passed = {sources: after[max(sources)] + 1 for sources in joints.values()}
    alone = {next(iter(sources)): number for sources, number in passed.items() if len(sources) == 1}

    def renumbered(sources: Sources) -> Sources:
        if sources in passed:
            return frozenset((passed[sources],))
        return frozenset(alone.get(source, after.get(source, source)) for source in sources)

    reads = {after[n]: renumbered(read) for n, read in contraction.reads.items()}
    reads |= {number: frozenset(after[s] for s in sources) for sources, number in passed.items()}
    steps = {after[n]: stride for n, stride in strides.items()} | dict.fromkeys(passed.values(), 1)
    outputs = [renumbered(output) for output in contraction.outputs]
    graph = build_graph(inputs, dict(sorted(reads.items())), outputs, steps, "network")
    before = {new: old for old, new in after.items()}
    places = {name: graph.slots.index(passed[sources]) for name, sources in joints.items()}
    return Graph(graph.cell, tuple(None if n is None else before.get(n) for n in graph.slots)), places


def _joint(contraction: Contraction, group: Group) -> Sources | None:
    """What all that comes of a group's channels passes as one tensor: the slots whose sum that is; None if nothing is.

    A slot for the channels that stands there is without use only where all layers of the group are: one layer that
    makes the channels may go, and the others still have the width.
    """
    made = {n for n, name in contraction.layers.items() if name in group.producers}
    if len(made) == 1:
        return frozenset(made)
    dense = {*group.producers, *group.consumers}
    for n, read in contraction.reads.items():  # depthwise convolutions and poolings
        if contraction.layers[n] not in dense and read <= made:
            made.add(n)
    wanted = {read for read in (*contraction.reads.values(), *contraction.outputs) if read <= made}
    for sources in sorted(wanted, key=lambda sources: (max(sources), len(sources)), reverse=True):
        waiting, seen = [output for output in contraction.outputs if output != sources], set[int]()
        while waiting:
            new = waiting.pop() - seen
            seen |= new
            waiting += [contraction.reads[n] for n in new if n in contraction.reads and contraction.reads[n] != sources]
        if not seen & made:
            return sources
    return None


class Widths:
    """The groups of a network that can get narrower, each tried on the example input, and why others stay."""

    def __init__(
        self,
        model: nn.Module,
        sandbox: Sandbox,
        training: tuple[Trace, Sandbox] | None,
        traced: Trace,
        contraction: Contraction,
        multiple: int,
    ) -> None:
        from natrl.modules.trace.coupling import coupled  # imports torch-pruning: seconds, which actors need not

        self._model, self._sandbox, self._training, self._traced = model, sandbox, training, traced
        once = [name for name in contraction.layers.values() if self._is_called_once(name)]
        groups, self.reasons = coupled(model, sandbox.inputs, once)
        self._sizes = {group.producer: sizes_of(group.channels, multiple) for group in groups}
        joints: dict[str, Sources] = {}
        for group in groups:
            if len(self._sizes[group.producer]) == 1:
                self._leave(group, f"{group.channels} channels are no two multiples of {multiple}")
            elif (passed := _joint(contraction, group)) is None:
                self._leave(group, "layers of its group reach the output on several ways")
            else:
                joints[group.producer] = passed
        found = [group for group in groups if group.producer not in self.reasons]
        if found and self._trouble(found) is not None:
            for group in found:
                if (why := self._trouble([group])) is not None:
                    self._leave(group, why)
            found = [group for group in found if group.producer not in self.reasons]
        self.groups = {group.producer: group for group in found}
        self.joints = {name: joints[name] for name in self.groups}

    def _leave(self, group: Group, why: str) -> None:
        self.reasons |= dict.fromkeys(group.producers, why)

    def _is_called_once(self, name: str) -> bool:
        traces = [self._traced] if self._training is None else [self._traced, self._training[0]]
        return all(len(traced.calls_of(name)) == 1 for traced in traces)

    def _trouble(self, groups: Sequence[Group]) -> str | None:
        """Why these cannot get narrower: the network would not run, or not as if the other channels were not read."""
        widths = [WidthSlot(i, g.producer, g, self._sizes[g.producer]) for i, g in enumerate(groups)]
        narrowing = Narrowing(self._model, widths)
        chosen = {width.name: list(width.sizes)[-1] for width in widths}
        try:
            layers = narrowing.layers(chosen)
            network = copied(self._model, {self._model.get_submodule(n): layer for n, layer in layers.items()}).eval()
            masked = copied(self._model).eval()
            for name, (inputs, _) in narrowing.ends(chosen).items():
                if inputs is not None:
                    _read_only(masked.get_submodule(name), inputs)
            if self._training is not None:
                sandbox = self._training[1]
                sandbox.run(sandbox.copy(network))
            for one, other in zip(self._outputs(network), self._outputs(masked), strict=True):
                if one.shape != other.shape or not _close(one, other):
                    return "its channels do more than what can be followed"
        except Exception as error:  # whatever the model's own code raises with other shapes
            return f"the network does not run with fewer of its channels: {summary(error)}"
        return None

    @torch.no_grad()
    def _outputs(self, network: nn.Module) -> list[Tensor]:
        with random_numbers_kept(self._sandbox.inputs[0].device):
            example = [t.clone() for t in self._sandbox.inputs]
            if not any(t.is_floating_point() and t.any() for t in example):
                example = [torch.randn_like(t) if t.is_floating_point() else t for t in example]
            return list(tensors(network(*example)))

    def slots_of(
        self,
        places: Mapping[str, int],
        slots: Sequence[ModuleSlot],
        choices: dict[str, dict[str, Choice]],
        left_out: Sequence[str],
    ) -> tuple[tuple[WidthSlot, ...], WidthCosts | None]:
        """The slots of the groups, and what they save. `choices` learns what cannot be had at every width.

        `places`: their indices by producer; `left_out`: layers that nulls may leave behind.
        """
        widths = tuple(
            WidthSlot(place, f"{name}.channels", self.groups[name], self._sizes[name])
            for name, place in sorted(places.items(), key=lambda item: item[1])
        )
        if not widths:
            return (), None
        ends = ends_of(widths)
        costs: dict[int, tuple[Ends, np.ndarray]] = {}
        for slot in slots:
            if slot.name not in ends:
                continue
            layer, own = self._model.get_submodule(slot.name), choices[slot.name]
            calls, possible = self._traced.calls_of(slot.name), [name for name, c in own.items() if c.reason is None]
            table, reasons = narrow_costs(layer, slot.name, ends[slot.name], calls, self._traced.batch, possible)
            costs[slot.index] = ends[slot.name], table
            own |= {name: replace(own[name], reason=why) for name, why in reasons.items()}
        known = {slot.name for slot in slots}
        rest = {
            name: (end[1], self._traced.cost_of(name, self._model.get_submodule(name)))
            for name, end in ends.items()
            if name not in known and end[1]
        }
        return widths, WidthCosts(widths, costs, rest, [*LAYER_PRIMITIVES, *WIDTHS], left_out)


@torch.no_grad()
def _read_only(layer: nn.Module, inputs: Tensor) -> None:
    """The weights of all other inputs become zero."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    others = torch.ones(weight.shape[1], dtype=torch.bool)
    others[inputs] = False
    weight[:, others] = 0


def _close(one: Tensor, other: Tensor) -> bool:
    if not one.is_floating_point():
        return torch.equal(one, other)
    scale = float(other.abs().max()) if other.numel() else 0.0
    return bool(torch.allclose(one, other, rtol=0.0, atol=TOLERANCE * max(scale, 1e-6), equal_nan=True))
