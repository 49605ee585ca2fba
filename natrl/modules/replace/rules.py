"""What each slot of a network may become, and why not.

E slots, V vocabulary. Costs of a slot are those of all its calls: parameters once, MAdds for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from natrl.core.operations import Cost, operation, VOCABULARY
from natrl.core.transitions import is_transition
from natrl.modules.replace.geometry import channel_axis, images_of
from natrl.modules.replace.held import held_by
from natrl.modules.replace.replacements import replacement_cost
from natrl.modules.trace.forward import Call

__all__ = ["Choice", "choices_of", "replaced_cost"]


@dataclass(frozen=True)
class Choice:
    """One operation in one slot: what it costs there, and why it cannot be had."""

    cost: Cost
    reason: str | None = None  # None: it can
    builds: bool = True  # whether there is such a layer of the same output shape, whatever the rules say


def choices_of(
    layer: nn.Module,
    calls: Sequence[Call],
    primitives: Sequence[str],
    *,
    batch: int,
    training: Sequence[Call] = (),
    needed: str | None = None,
) -> dict[str, Choice]:
    """Each primitive in the place of a layer; the operation that the layer holds comes first.

    `calls` in evaluation mode, `training` in training mode. `batch`: the images of the example input; `needed`: what a
    null could cut off, if there is something.
    """
    held = held_by(layer)
    choices = {held: Choice(_held_cost(layer, calls, batch))}
    for name in primitives:
        if name != held:
            axis = channel_axis(layer)
            reason = _role(name, calls, axis, "") or _role(name, training, axis, " in training mode")
            reason = reason or (f"null could cut off {needed}" if needed and name == "null" else None)
            choices[name] = _choice(layer, held, name, calls, batch, reason)
    return choices


def _choice(layer: nn.Module, held: str, name: str, calls: Sequence[Call], batch: int, reason: str | None) -> Choice:
    """Reasons in this order: the transition rule, its role in the network (`reason`), geometry."""
    nothing = Cost()
    if not is_transition(operation(held), operation(name)):
        return Choice(nothing, f"no rule lets {held} become {name}")
    try:
        cost = replaced_cost(layer, name, [images_of(layer, call.in_shape) for call in calls], batch)
    except ValueError as error:
        return Choice(nothing, reason or str(error), builds=False)
    return Choice(cost) if reason is None else Choice(nothing, reason)


def replaced_cost(layer: nn.Module, operation: str, images: Sequence[Sequence[int]], batch: int) -> Cost:
    """Of a replacement that is called on so many images of such a size, in one image of the batch."""
    costs = [replacement_cost(layer, operation, *size) for _, *size in images]
    madds = sum(cost.madds * count for cost, (count, *_) in zip(costs, images, strict=True))
    return Cost(costs[0].params, madds // batch)


def _role(name: str, calls: Sequence[Call], axis: int, when: str) -> str | None:
    """Why an operation without weights does not fit what the layer does in its network.

    `axis`: of the channels; `when`: in which mode.
    """
    same_channels = all(call.in_shape[axis] == call.out_shape[axis] for call in calls)
    if name == "skip_connect" and any(call.in_shape != call.out_shape for call in calls):
        return f"skip_connect needs an output like the input, {_change(calls)}{when}"
    if VOCABULARY[name].is_pooling and not same_channels:
        return f"{name} needs as many output as input channels, {_change(calls)}{when}"
    return _null(calls, when) if name == "null" and calls else None


def _null(calls: Sequence[Call], when: str) -> str | None:
    """Why a layer's output cannot be zero."""
    if len(calls) > 1:
        return f"null would cut {len(calls)} paths at once: the layer is called {len(calls)} times{when}"
    others = calls[0].met - {"add"}
    if not others and (calls[0].met or when):
        return None
    found = ", ".join(sorted(others))
    return f"null needs nothing but additions right after the layer; its output goes into {found}{when}"


def _change(calls: Sequence[Call]) -> str:
    call = next((call for call in calls if call.in_shape != call.out_shape), calls[0])
    before, after = ("×".join(map(str, shape[1:])) for shape in (call.in_shape, call.out_shape))
    return f"got {before} → {after}"


def _held_cost(layer: nn.Module, calls: Sequence[Call], batch: int) -> Cost:
    """What the layer itself costs."""
    return Cost(sum(p.numel() for p in layer.parameters()), sum(call.madds for call in calls) // batch)
