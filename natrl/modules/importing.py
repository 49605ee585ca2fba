"""Any network in: from a model and an example input to a space."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from natrl.core.architecture import Architecture
from natrl.core.moves import move_of, Moves, moves_from
from natrl.core.operations import Cost
from natrl.modules.finding_widths import Widths, with_widths
from natrl.modules.replace.geometry import geometry_of, LAYERS
from natrl.modules.replace.held import description, held_by
from natrl.modules.replace.layers import frozen_layers, kept_elsewhere, unremovable, unreplaceable
from natrl.modules.replace.leftovers import can_be_left_out, Leftovers
from natrl.modules.replace.rules import Choice, choices_of
from natrl.modules.slots import LAYER_PRIMITIVES
from natrl.modules.space import ModuleSlot, ModuleSpace
from natrl.modules.trace.contraction import (
    contract,
    Contraction,
    needed_layers,
    otherwise_fed,
    unconnected,
    with_gates,
    with_training,
)
from natrl.modules.trace.dependence import cutting_off
from natrl.modules.trace.forward import blocks_of, Trace, trace, trace_training
from natrl.modules.trace.graph import Graph
from natrl.modules.trace.sandbox import Sandbox

__all__ = ["from_module"]


def from_module(
    model: nn.Module, example_input: Any, *, moves: str | Collection[str] | None = None, width_multiple: int = 1
) -> ModuleSpace:
    """The space of what a network can become by replacing its convolutions, linear layers and poolings.

    `example_input` is a batch as the model takes it (or a tuple of several inputs): copies of the model are run on it,
    in evaluation and in training mode, without data where that is possible. torch's convolutions, MaxPool and AvgPool
    along 1, 2 or 3 axes and nn.Linear that hold an operation of natrl's vocabulary become slots, and so does attention
    that uses its weights without layers, as a whole; `.frozen` says why the others stay. The model is not changed, and
    `.build` copies it.
    `moves`: what may change, of types, kernels, ranks, branches (nothing in a layer's place), widths; or all. None:
    all but widths. With widths, channels inside the network are slots, too (`.widths`): those that a layer makes, or
    several whose outputs are added or multiplied; 3/4, 1/2 or 1/4 of them may be kept, rounded down to a
    `width_multiple`. The example is then run with data.
    ValueError in one line where the model cannot be run or copied, or has nothing to replace.
    """
    allowed = moves_from(moves)
    if not isinstance(width_multiple, int) or isinstance(width_multiple, bool) or width_multiple < 1:
        raise ValueError(f"width_multiple must be a whole number of at least 1, got {width_multiple!r:.40}")
    sandbox = Sandbox(model, example_input)
    traced = trace(model, sandbox)
    blocks = blocks_of(model, traced)
    traced = trace(model, sandbox, blocks) if blocks else traced
    training = trace_training(model, sandbox, blocks)
    frozen = _frozen(model, sandbox, traced, training)
    traced = with_gates(traced, frozen)
    training = training if training is None else (with_gates(training[0], frozen), training[1])
    contraction = contract(traced, frozen)
    _check(model, contraction, frozen)
    if training is not None:
        contraction = with_training(contraction, training[0], frozen)
    layers = {name: model.get_submodule(name) for name in contraction.layers.values()}
    strides = {number: max(_stride(layers[name])) for number, name in contraction.layers.items()}
    kept = needed_layers(contraction)
    choices = {
        name: choices_of(
            layer,
            traced.calls_of(name),
            LAYER_PRIMITIVES,
            batch=traced.batch,
            training=() if training is None else training[0].calls_of(name),
            needed=kept.get(name),
        )
        for name, layer in layers.items()
    }
    if traced.picks:
        nullable = [name for name, choice in choices.items() if choice["null"].reason is None]
        for name in cutting_off(model, sandbox.inputs, nullable):
            why = "null could cut off what the output knows of the input"
            choices[name]["null"] = replace(choices[name]["null"], reason=why)
    for name, layer in layers.items():
        choices[name] = _moving(choices[name], held_by(layer), allowed)
    found = Widths(model, sandbox, training, traced, contraction, width_multiple) if "widths" in allowed else None
    graph, places = with_widths(traced.inputs, contraction, strides, {} if found is None else found.joints)
    slots = _slots(graph, contraction, traced, layers, choices)
    operations = ["skip_connect"] * len(graph.slots)
    for slot in slots:
        operations[slot.index] = slot.operation
    for place in places.values():
        operations[place] = "channels"
    architecture = Architecture((graph.cell,), tuple(operations)).validate()
    leftovers = _leftovers(model, sandbox, traced, training, [slot.name for slot in slots])
    fixed = _fixed(model, traced, slots)
    narrow = None if found is None else found.slots_of(places, slots, choices, list(leftovers.costs))
    widths, costs = ((), None) if narrow is None else narrow
    if found is not None:
        frozen = frozen | {f"{name}.channels": why for name, why in found.reasons.items()}
    space = ModuleSpace(
        model, sandbox, architecture, slots, choices, frozen, fixed, leftovers, allowed, widths, costs, width_multiple
    )
    if space.masks(architecture).sum() == space.n_slots:
        raise ValueError(
            _nothing(model, frozen, f"none of {len(slots)} layers has a replacement that costs no more, and ")
        )
    return space


def _moving(choices: Mapping[str, Choice], held: str, moves: Moves) -> dict[str, Choice]:
    """Without what is not to change."""
    return {
        name: replace(choice, reason=choice.reason or f"moves leave out {' and '.join(sorted(missing))}")
        if (missing := move_of(held, name) - moves)
        else choice
        for name, choice in choices.items()
    }


def _frozen(
    model: nn.Module, sandbox: Sandbox, traced: Trace, training: tuple[Trace, Sandbox] | None
) -> dict[str, str]:
    """The layers that stay, and why."""
    frozen = frozen_layers(model, traced)
    frozen |= kept_elsewhere(model, {call.layer for call in traced.calls} - frozen.keys())
    frozen |= unreplaceable(model, sandbox, _counts(traced, frozen))
    frozen |= unremovable(model, sandbox, traced.blocks - frozen.keys())
    if training is not None:
        trained, modelled = training
        also = {
            name: reason
            for name, reason in frozen_layers(model, trained).items()
            if name in traced.blocks - frozen.keys()
        }
        also |= unreplaceable(model, modelled, _counts(trained, frozen))
        also |= unremovable(model, modelled, traced.blocks - frozen.keys() - also.keys())
        frozen |= {name: f"in training mode {reason}" for name, reason in also.items()}
    frozen |= unconnected(traced, frozen)
    return frozen if training is None else frozen | otherwise_fed(traced, training[0], frozen)


def _leftovers(
    model: nn.Module, sandbox: Sandbox, traced: Trace, training: tuple[Trace, Sandbox] | None, slots: list[str]
) -> Leftovers:
    """The layers that nulls may leave behind, and that the model runs without."""
    runs = [(traced, sandbox)] if training is None else [(traced, sandbox), training]
    traces = [run for run, _ in runs]
    costs = can_be_left_out(model, traces, slots)
    stay = kept_elsewhere(model, costs)
    for run, where in runs:
        counts = Counter(flow.layer for flow in run.flows if flow.layer in costs.keys() - stay.keys())
        stay |= unreplaceable(model, where, counts)
    return Leftovers(model, traces, slots, {name: cost for name, cost in costs.items() if name not in stay})


def _counts(traced: Trace, frozen: Collection[str]) -> Counter[str]:
    """How often each layer is called that does not stay."""
    return Counter(call.layer for call in traced.calls if call.layer not in frozen)


def _check(model: nn.Module, contraction: Contraction, frozen: Mapping[str, str]) -> None:
    """ValueError where there is nothing to replace."""
    kind = type(model).__name__
    if contraction.layers:
        return
    if not frozen:
        raise ValueError(f"{kind} has nothing to replace: it has no convolution, no linear layer and no pooling")
    if not contraction.outputs:
        raise ValueError(f"{kind} cannot be followed: its output does not come from its input by operations on tensors")
    raise ValueError(_nothing(model, frozen))


def _nothing(model: nn.Module, frozen: Mapping[str, str], why: str = "") -> str:
    """What to say of a network with nothing to replace: the most frequent reasons."""
    reasons = Counter(re.sub(r"\b\d+\b", "…", reason) for reason in frozen.values()).most_common(3)
    told = "; ".join(f"{count} because {reason}" for reason, count in reasons)
    stay = f"{len(frozen)} layers stay" + (f", {told}" if told else "")
    return f"{type(model).__name__} has nothing to replace: {why}{stay}"


def _slots(
    graph: Graph,
    contraction: Contraction,
    traced: Trace,
    layers: Mapping[str, nn.Module],
    choices: Mapping[str, Mapping[str, Choice]],
) -> tuple[ModuleSlot, ...]:
    """The slots in the order of the architecture."""
    known = {**dict.fromkeys(range(traced.inputs), "input"), **contraction.layers}
    slots = []
    for index, number in enumerate(graph.slots):
        if number is None or number not in contraction.layers:
            continue
        name = contraction.layers[number]
        held, calls = held_by(layers[name]), traced.calls_of(name)
        after = [contraction.layers[n] for n, read in contraction.reads.items() if number in read]
        after += ["output"] if any(number in output for output in contraction.outputs) else []
        slots.append(
            ModuleSlot(
                index=index,
                name=name,
                operation=held,
                layer=description(layers[name]),
                in_shape=calls[0].in_shape[1:],
                out_shape=calls[0].out_shape[1:],
                stride=_stride(layers[name]),
                calls=len(calls),
                cost=choices[name][held].cost,
                before=tuple(dict.fromkeys(known[n] for n in sorted(contraction.reads[number]))),
                after=tuple(after),
            )
        )
    return tuple(slots)


def _stride(layer: nn.Module) -> tuple[int, ...]:
    """Along each axis; (1, 1) of a layer without."""
    return (geometry_of(layer).stride if isinstance(layer, LAYERS) else ()) or (1, 1)


def _fixed(model: nn.Module, traced: Trace, slots: tuple[ModuleSlot, ...]) -> Cost:
    """What the network costs without its slots."""
    total = Cost.total(slot.cost for slot in slots)
    params = sum(p.numel() for p in model.parameters())
    return Cost(params - total.params, traced.madds - total.madds)
