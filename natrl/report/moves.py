"""What could become of a user's network: its slots and their moves, what stays and why. Nothing is trained for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from natrl import formats
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost, operation
from natrl.core.transitions import is_transition, Rule
from natrl.modules.space import ModuleSlot, ModuleSpace
from natrl.report.tables import empty_table
from natrl.spaces.budget import fewest

__all__ = ["Moves", "SlotMoves", "moves_of"]

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class SlotMoves:
    """What a slot may become; where that is nothing, why it may not become what the rule leads to."""

    slot: ModuleSlot
    moves: tuple[str, ...]
    reasons: Mapping[str, str]  # by operation; none where there are moves

    @property
    def why(self) -> str:
        """The reasons in one line, each once."""
        if not self.reasons:
            return f"no rule leads from {self.slot.layer} to anything else"
        alike = _grouped(self.reasons.items(), lambda item: item[1])
        return "; ".join(
            why if why.startswith(items[0][0]) else f"{', '.join(name for name, _ in items)}: {why}"
            for why, items in alike.items()
        )


@dataclass(frozen=True)
class Moves:
    """What could become of a network under a rule."""

    space: ModuleSpace
    rule: Rule
    slots: tuple[SlotMoves, ...]  # in the order of the space
    cost: Cost  # of the network as it is
    movable: Cost  # of the slots that have moves
    stuck: Cost  # of the slots that have none
    smallest: Mapping[str, Architecture]  # with the fewest "madds", and the fewest "params"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document."""
        slots = [
            {
                "name": found.slot.name,
                "operation": found.slot.operation,
                "layer": found.slot.layer,
                "in_shape": found.slot.in_shape,
                "out_shape": found.slot.out_shape,
                "stride": found.slot.stride,
                "calls": found.slot.calls,
                **asdict(found.slot.cost),
                "moves": found.moves,
                "reasons": dict(found.reasons),
            }
            for found in self.slots
        ]
        return {
            "model": self.space.name,
            "inputs": [tuple(example.shape[1:]) for example in self.space.example],
            "rule": self.rule,
            **asdict(self.cost),
            "share": {kind: self._share(self.movable, kind) for kind in ("params", "madds")},
            "smallest": {kind: self._smallest(architecture) for kind, architecture in self.smallest.items()},
            "slots": slots,
            "widths": [
                {"name": width.name, "sizes": dict(width.sizes), "layers": list(width.group.layers)}
                for width in self.space.widths
            ],
            "frozen": self.space.frozen,
            "one_path": self.space.needed_data,
        }

    def tables(self, title: str) -> Group:
        """Slots with moves, what stays with the reasons, and the shares and the smallest cost in a few lines."""
        parts: list[RenderableType] = [self._slot_table(title)]
        parts += [self._width_table()] if self.space.widths else []
        stay = self._stay_table()
        parts += [stay] if stay.row_count else []
        return Group(*parts, Text(self.summary()))

    def summary(self) -> str:
        """What share of the network has moves, and how small it can become."""
        shares = [f"{self._share(self.movable, kind):.1%} of the {unit}" for kind, unit in _UNITS.items()]
        count = sum(bool(found.moves) for found in self.slots)
        lines = [f"{count} of {len(self.slots)} slots have moves, in them are {' and '.join(shares)}."]
        for kind, unit in _UNITS.items():
            cost = self.space.cost(self.smallest[kind])
            texts = [f"{formats.count(getattr(cost, k))} {u} ({self._share(cost, k):.1%})" for k, u in _UNITS.items()]
            lines.append(f"The fewest {unit} that can be reached: {texts[0]} with {texts[1]}.")
        if self.space.needed_data:
            lines.append("Which way the network goes depends on values: one way was seen.")
        return "\n".join(lines)

    def _slot_table(self, title: str) -> Table:
        """One row for slots that hold the same and have the same moves, those with the most MAdds first."""
        inputs = " and ".join("×".join(map(str, example.shape[1:])) for example in self.space.example)
        title = f"{title} on {inputs}, rule {self.rule}"
        table = empty_table(title, "layers (how many): what they may become", "parameters>", "MAdds>")
        alike = _grouped((s for s in self.slots if s.moves), lambda s: (s.slot.layer, s.moves))
        costs = {key: Cost.total(s.slot.cost for s in group) for key, group in alike.items()}
        for held, moves in sorted(alike, key=lambda key: -costs[key].madds):
            names = formats.layers(s.slot.name for s in alike[held, moves])
            what = Text(f"{names}\n").append(f"{held} → {', '.join(moves)}", "dim")
            table.add_row(what, *self._counts(costs[held, moves]))
        table.add_section()
        rest = Cost(*(getattr(self.cost, k) - getattr(self.movable, k) - getattr(self.stuck, k) for k in _FIELDS))
        table.add_row("slots without a move", *self._counts(self.stuck))
        table.add_row("what is no slot", *self._counts(rest))
        whole = (formats.count(self.cost.params), formats.count(self.cost.madds))
        table.add_row("the whole network", *whole, style="bold")
        return table

    def _width_table(self) -> Table:
        """One row for groups of as many channels."""
        table = empty_table("Channels that can be fewer", "made by layers (how many)", "groups>", "channels")
        for sizes, widths in _grouped(self.space.widths, lambda width: tuple(width.sizes.values())).items():
            whole, *fewer = map(str, sizes)
            layers = formats.layers(name for width in widths for name in width.group.producers)
            table.add_row(Text(layers), str(len(widths)), f"{whole} → {', '.join(fewer)}")
        return table

    def _stay_table(self) -> Table:
        """One row a reason, alike but for numbers and names."""
        table = empty_table("What stays", "layers (how many)", "why")
        reasons = {s.slot.name: s.why for s in self.slots if not s.moves} | self.space.frozen
        for general, items in _grouped(reasons.items(), lambda item: _general(item[1])).items():
            exact = {why for _, why in items}
            why = exact.pop() if len(exact) == 1 else general
            table.add_row(Text(formats.layers(name for name, _ in items)), Text(why))
        return table

    def _share(self, cost: Cost, kind: str) -> float:
        return float(getattr(cost, kind) / max(getattr(self.cost, kind), 1))

    def _counts(self, cost: Cost) -> list[str]:
        return [f"{formats.count(getattr(cost, kind))} ({self._share(cost, kind):.1%})" for kind in _FIELDS]

    def _smallest(self, architecture: Architecture) -> dict[str, Any]:
        before, after = (self.space.operations(a) for a in (self.space.architecture, architecture))
        changed = {name: op for name, op in after.items() if op != before[name]}
        return asdict(self.space.cost(architecture)) | {"operations": changed}


_UNITS = {"madds": "MAdds", "params": "parameters"}
_FIELDS = ("params", "madds")


def moves_of(space: ModuleSpace, rule: Rule = "nat++") -> Moves:
    """What could become of a network whose slots may each take one step under the rule. ValueError on another rule."""
    original = space.architecture
    mask = space.masks(original, rule)
    slots = []
    for slot in space.slots:
        allowed = zip(space.primitives, mask[slot.index], strict=True)
        moves = tuple(name for name, can in allowed if can and name != slot.operation)
        slots.append(SlotMoves(slot, moves, {} if moves else _reasons(space, slot, rule)))
    return Moves(
        space=space,
        rule=rule,
        slots=tuple(slots),
        cost=space.cost(original),
        movable=Cost.total(s.slot.cost for s in slots if s.moves),
        stuck=Cost.total(s.slot.cost for s in slots if not s.moves),
        smallest={"madds": fewest(space, original, mask, madds=1), "params": fewest(space, original, mask, params=1)},
    )


def _reasons(space: ModuleSpace, slot: ModuleSlot, rule: Rule) -> dict[str, str]:
    """Why a slot cannot become what the rule leads to."""
    held = operation(slot.operation)
    found = {
        name: space.reason(slot.name, name, rule=rule)
        for name in space.primitives
        if name != slot.operation and is_transition(held, operation(name), rule)
    }
    return {name: why for name, why in found.items() if why is not None}


def _general(reason: str) -> str:
    """A reason without the numbers and names of layers that tell it from others of its kind."""
    reason = re.sub(r"layer '[^']*'(, layer '[^']*')*", "layer …", reason)
    return re.sub(r"…(×…)+", "…", re.sub(r"(?<!\w)\d[\d,]*(?!\w)", "…", reason))


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
