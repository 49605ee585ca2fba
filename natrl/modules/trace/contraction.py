"""What slots read from one another: a trace without the layers that stay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

from natrl.modules.trace.forward import Trace

__all__ = [
    "Contraction",
    "Sources",
    "contract",
    "needed_layers",
    "otherwise_fed",
    "unconnected",
    "with_gates",
    "with_training",
]

Sources = frozenset[int]


class Contraction(NamedTuple):
    """Slots by the source number of their first call, as `natrl.modules.trace.graph.build_graph` takes them."""

    layers: dict[int, str]  # each slot's layer
    reads: dict[int, Sources]  # inputs and slots that its first call reads the sum of
    outputs: tuple[Sources, ...]
    products: tuple[tuple[Sources, Sources], ...]  # of two tensors that were joined otherwise than by a sum
    gates: dict[int, frozenset[Sources]]  # what multiplies a slot's output, value by value


def contract(traced: Trace, frozen: Collection[str]) -> Contraction:
    """Frozen layers, and later calls of a layer that is called again, pass on what they read."""
    stands_for: dict[int, Sources] = {i: frozenset((i,)) for i in range(traced.inputs)}
    layers: dict[int, str] = {}
    reads: dict[int, Sources] = {}
    seen = set(frozen)
    for number, call in enumerate(traced.calls, start=traced.inputs):
        read = _union(call.sources, stands_for)
        if call.layer in seen:
            stands_for[number] = read
        else:
            seen.add(call.layer)
            stands_for[number] = frozenset((number,))
            layers[number], reads[number] = call.layer, read
    outputs = (_union(sources, stands_for) for sources in traced.outputs)
    products = {(_union(a, stands_for), _union(b, stands_for)) for a, b in traced.products}
    gates = {n: frozenset(_union(g, stands_for) for g in traced.calls[n - traced.inputs].gates) for n in layers}
    return Contraction(layers, reads, tuple(output for output in outputs if output), tuple(products), gates)


def with_training(evaluation: Contraction, traced: Trace, frozen: Collection[str]) -> Contraction:
    """With the outputs and products of a trace in training mode added: auxiliary heads, what a loss reads."""
    training = _in_numbers_of(evaluation, traced, frozen)
    return evaluation._replace(
        outputs=tuple(dict.fromkeys((*evaluation.outputs, *training.outputs))),
        products=tuple(dict.fromkeys((*evaluation.products, *training.products))),
    )


def otherwise_fed(traced: Trace, training: Trace, frozen: Collection[str]) -> dict[str, str]:
    """Layers besides the frozen ones that read more in training mode, and that they do."""
    found: dict[str, str] = {}
    while True:
        evaluation = contract(traced, {*frozen, *found})
        other = _in_numbers_of(evaluation, training, {*frozen, *found})
        more = [
            layer for slot, layer in evaluation.layers.items() if other.reads.get(slot, set()) - evaluation.reads[slot]
        ]
        if not more:
            return found
        found |= dict.fromkeys(more, "in training mode it reads what it does not read in evaluation mode")


def _in_numbers_of(evaluation: Contraction, traced: Trace, frozen: Collection[str]) -> Contraction:
    """A trace in training mode, contracted to the slots of evaluation mode, by their numbers there."""
    slots = {layer: slot for slot, layer in evaluation.layers.items()}
    training = contract(traced, {*frozen, *(call.layer for call in traced.calls if call.layer not in slots)})
    number = {i: i for i in range(traced.inputs)} | {slot: slots[layer] for slot, layer in training.layers.items()}

    def renumbered(sources: Sources) -> Sources:
        return frozenset(number[source] for source in sources)

    return Contraction(
        {number[slot]: layer for slot, layer in training.layers.items()},
        {number[slot]: renumbered(read) for slot, read in training.reads.items()},
        tuple(renumbered(output) for output in training.outputs),
        tuple((renumbered(a), renumbered(b)) for a, b in training.products),
        {number[slot]: frozenset(map(renumbered, found)) for slot, found in training.gates.items()},
    )


def with_gates(traced: Trace, frozen: Collection[str]) -> Trace:
    """The trace in which a layer has not met the gates that are made of its output and multiply that.

    Zeros stay zeros through squeeze-and-excitation: the layers of the gate end with the layer that they read.
    """
    contraction = contract(traced, frozen)
    met = {call.layer: call.met for call in traced.calls}
    found: dict[str, frozenset[str]] = {}
    for slot, gates in contraction.gates.items():
        layer = contraction.layers[slot]
        dead = _dead(contraction, frozenset((slot,)))
        if not all(gate <= dead for gate in gates):
            found[layer] = met[layer] | {"mul"}
            continue
        within = {contraction.layers[s] for s in _leading_to(contraction, gates, dead - {slot})}
        names = {f"layer {name!r}" for name in within}
        if all(met[name] <= names | {"mul"} for name in within):
            found[layer] = met[layer] - names
    return replace(traced, calls=tuple(c._replace(met=found.get(c.layer, c.met)) for c in traced.calls))


def _leading_to(contraction: Contraction, gates: Collection[Sources], within: Sources) -> set[int]:
    """Slots among `within` from which a gate is made."""
    found = set[int]()
    waiting = [slot for gate in gates for slot in gate & within]
    while waiting:
        slot = waiting.pop()
        if slot not in found:
            found.add(slot)
            waiting += contraction.reads[slot] & within
    return found


def unconnected(traced: Trace, frozen: Collection[str]) -> dict[str, str]:
    """Layers besides the frozen ones that lie on no path from input to output, and why."""
    found: dict[str, str] = {}
    while True:
        new = _unconnected_once(contract(traced, {*frozen, *found}))
        if not new:
            return found
        found |= new


def _unconnected_once(contraction: Contraction) -> dict[str, str]:
    used = _union(range(len(contraction.outputs)), dict(enumerate(contraction.outputs)))
    for slot, read in reversed(contraction.reads.items()):
        used |= read if slot in used else frozenset()
    reasons = {}
    for slot, layer in contraction.layers.items():
        if not contraction.reads[slot]:
            reasons[layer] = "its input does not depend on the input of the network"
        elif slot not in used:
            reasons[layer] = "no output of the network depends on its output"
    return reasons


def needed_layers(contraction: Contraction) -> dict[str, str]:
    """Layers whose null could zero one factor of a product but not the other, or cut off one of several outputs.

    The cell of an architecture is live where any path leads to its output, which is not enough there.
    """
    found: dict[str, str] = {}
    outputs = set(contraction.outputs)
    for a, b in contraction.products:
        found |= dict.fromkeys(_cutting(contraction, a, b), "one factor of a product or quotient")
    for a, b in permutations(outputs, 2):
        found |= dict.fromkeys(_cutting(contraction, a, b), f"one of the network's {len(outputs)} outputs")
    return found


def _cutting(contraction: Contraction, tensor: Sources, other: Sources) -> set[str]:
    """Layers whose null could help to make a tensor zero without making another one zero."""
    found: set[str] = set()
    waiting, seen = [tensor], {tensor}
    while waiting:
        sources = waiting.pop()
        slots = sources & contraction.layers.keys()
        if slots < sources or other <= _dead(contraction, sources):
            continue  # it reads an input, which is there; or both are zero
        found |= {contraction.layers[slot] for slot in slots}
        upstream = {contraction.reads[slot] for slot in slots} - seen
        waiting += upstream
        seen |= upstream
    return found


def _dead(contraction: Contraction, sources: Sources) -> Sources:
    """All slots whose output is zero where these sources are."""
    dead = set(sources)
    for slot, read in contraction.reads.items():
        if read <= dead:
            dead.add(slot)
    return frozenset(dead)


def _union(keys: Collection[int], sets: dict[int, Sources]) -> Sources:
    return frozenset[int]().union(*(sets[key] for key in keys))
