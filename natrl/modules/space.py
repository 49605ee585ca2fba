"""The space of what one network of a user's own can become.

E slots of an architecture (layers, and the wires between nodes), K primitives, V vocabulary, B batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.core.connectivity import live_slots
from natrl.core.moves import Moves
from natrl.core.operations import Cost, operation, VOCABULARY, VOCABULARY_INDEX, WIDTHS
from natrl.core.transitions import check_choice, CostMode, Rule
from natrl.data import batches
from natrl.digests import digest
from natrl.modules.building import Builder, draw_anew
from natrl.modules.inherit.inheritance import Inheritance
from natrl.modules.original import check_outputs
from natrl.modules.possibilities import Possibilities
from natrl.modules.replace.costs import NetworkCosts
from natrl.modules.replace.leftovers import Leftovers
from natrl.modules.replace.rules import Choice
from natrl.modules.replace.width_costs import WidthCosts
from natrl.modules.replace.widths import WidthSlot
from natrl.modules.slots import LAYER_PRIMITIVES, ModuleSlot, NULL
from natrl.modules.trace.sandbox import Sandbox
from natrl.spaces import Batch, Skeleton, Space, transition
from natrl.spaces.counting import CostTable
from natrl.spaces.topologies import Topologies

__all__ = ["ModuleSlot", "ModuleSpace"]


class ModuleSpace(Space):
    """What one network can become: `natrl.from_module` makes it.

    An architecture says for each slot which operation it holds; `architecture` is the network as it is. `slots` are the
    layers that can be replaced, and `frozen` says of each other layer of their kinds why it stays; `widths` are groups
    of channels that can become fewer, slots as well (none unless the moves have widths). Costs are those of the whole
    network for one image, and equal what torch counts on the network that `build` gives.
    """

    is_free = False

    def __init__(
        self,
        model: nn.Module,
        sandbox: Sandbox,
        architecture: Architecture,
        slots: tuple[ModuleSlot, ...],
        choices: Mapping[str, Mapping[str, Choice]],
        frozen: Mapping[str, str],
        fixed: Cost,
        leftovers: Leftovers,
        moves: Moves,
        widths: Sequence[WidthSlot] = (),
        width_costs: WidthCosts | None = None,
        width_multiple: int = 1,
    ) -> None:
        """`choices`: by slot and primitive; `fixed`: what the network costs without its slots."""
        self.primitives = (*LAYER_PRIMITIVES, *WIDTHS) if widths else LAYER_PRIMITIVES
        self.moves, self.widths, self.width_multiple = moves, tuple(widths), width_multiple
        self._builder = Builder(model, sandbox, slots, self.widths)
        self.prices_are_bounds = bool(self.widths)  # costs of neighbours multiply
        self.name = type(model).__name__
        self.model = model
        self.architecture = self.original = architecture
        self.slots = slots
        self.frozen = dict(frozen)
        self.n_slots = len(architecture.operations)
        self._sandbox = sandbox
        self._sent: str | None = None  # the network's digest, in a copy that was sent to another process
        self._by_name = {slot.name: slot for slot in slots}
        self._width_by_name = {width.name: width for width in self.widths}
        table = CostTable(fixed, np.zeros((self.n_slots, len(VOCABULARY), 2), dtype=np.int64))
        for slot in slots:
            for name, choice in choices[slot.name].items():
                table.slots[slot.index, VOCABULARY_INDEX[name]] = choice.cost.params, choice.cost.madds
        names = {slot.index: slot.name for slot in slots}
        self._costs = NetworkCosts(table, self.primitives, names, leftovers, width_costs)
        self._can = Possibilities(self.primitives, self.n_slots, slots, self.widths, choices, self._costs)
        nullable = [slot.index for slot in slots if self._can.be[slot.index, NULL]]
        self._costs.price({index: self._alone(index) for index in nullable}, self._can.be)

    @property
    def needed_data(self) -> bool:
        """Whether the network could be run only with data: its path may depend on values, and one path was seen."""
        return not self._sandbox.fake

    @property
    def example(self) -> tuple[Tensor, ...]:
        """The example input that the network was imported with."""
        return self._sandbox.inputs

    def on(self, skeleton: Skeleton) -> Space:
        """ValueError: a network of a user's own is stacked of no cells."""
        raise ValueError(f"{self.name} is a whole network, not cells to be stacked: it has no skeleton")

    def __deepcopy__(self, memo: Any) -> ModuleSpace:
        return self  # Gymnasium and RLlib copy the arguments of environments

    def __repr__(self) -> str:
        counts = f"{len(self.slots)} slots, " + (f"{len(self.widths)} widths, " if self.widths else "")
        counts += f"{len(self.primitives)} primitives, {len(self.frozen)} frozen"
        return f"<space of {self.name}: {counts}>"

    # Architectures

    def _choices(self, architecture: Architecture) -> np.ndarray:
        """int64 (E,): the primitives that the slots hold."""
        return np.array([self.primitives.index(op) for op in architecture.operations])

    def operations(self, architecture: Architecture) -> dict[str, str]:
        """The operation of every slot, by the name of its layer, and the widths after them."""
        layers = {slot.name: architecture.operations[slot.index] for slot in self.slots}
        return layers | {width.name: architecture.operations[width.index] for width in self.widths}

    def with_operations(self, operations: Mapping[str, str]) -> Architecture:
        """The network's architecture with some layers' operations replaced, {layer: operation}, as they are given.

        ValueError if a layer is no slot (and why it stays), or cannot become that operation (`reason`).
        """
        new = list(self.architecture.operations)
        for name, op in operations.items():
            width = self._width_by_name.get(name)
            new[self.slot(name).index if width is None else width.index] = operation(op).name
        return self.check(self.architecture.with_operations(new))

    def slot(self, name: str) -> ModuleSlot:
        """The slot of a layer. ValueError if there is none, with the reason why the layer stays if it does."""
        if name in self._by_name:
            return self._by_name[name]
        if name in self.frozen:
            raise ValueError(f"layer {name!r} of {self.name} stays: {self.frozen[name]}")
        raise ValueError(f"{self.name} has no slot {name!r}; the slots are: {', '.join(self._by_name)}")

    def reason(
        self, name: str, operation_name: str, held: str | None = None, rule: Rule = "nat++", cost: CostMode = "strict"
    ) -> str | None:
        """Why a layer cannot become an operation; None if it can.

        `held`: what its slot holds; None: what the layer is. ValueError on an unknown layer, operation, rule or mode.
        """
        check_choice("rule", rule, Rule)
        check_choice("cost mode", cost, CostMode)
        width = self._width_by_name.get(name)
        if width is None and name in self.frozen:
            return self.frozen[name]
        place = width or self.slot(name)
        old, new = operation(place.operation if held is None else held), operation(operation_name)
        return self._can.reason(place, old, new, rule, cost)

    @checked
    def check(self, architecture: Architecture) -> Architecture:
        """Returns the architecture. ValueError naming the layer and the reason if it is not one of this space.

        Null may stand where nothing uses the layer's output, whatever the rules for its slot are.
        """
        super().check(architecture)
        wrong = ~self._can.be[np.arange(self.n_slots), self._choices(architecture)]
        places: tuple[ModuleSlot | WidthSlot, ...] = (*self.slots, *self.widths)
        for place in places:
            op = architecture.operations[place.index]
            if wrong[place.index] and (op != "null" or self._is_used(architecture, place.index)):
                why = self._can.reason(place, operation(place.operation), operation(op), cost="rule")
                what = "layer " if isinstance(place, ModuleSlot) else ""
                raise ValueError(f"{what}{place.name!r} of {self.name} cannot become {op}: {why}")
            wrong[place.index] = False
        if wrong.any():
            e = int(wrong.argmax())
            raise ValueError(
                f"slot {e} of {self.name} is a wire and holds skip_connect, not {architecture.operations[e]}"
            )
        if not architecture.is_live:
            raise ValueError(
                f"nothing would lead from the input of {self.name} to its output: keep one of the nulls' layers"
            )
        return architecture

    def check_cells(self, architecture: Architecture) -> None:
        """ValueError if the architecture is of another network."""
        if architecture.cells != self.architecture.cells:
            raise ValueError(f"the architecture is not one of {self.name}: its slots are connected otherwise")

    def _is_used(self, architecture: Architecture, e: int) -> bool:
        """Whether slot e would lie on a path from input to output if it were active."""
        active = np.array([[op != "null" or i == e for i, op in enumerate(architecture.operations)]])
        return bool(live_slots(active, Topologies.of([architecture]).wiring)[0, e])

    @checked
    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random architecture that a transform of the network reaches."""
        return self.samples(rng, 1)[0]

    def samples(self, rng: np.random.Generator, n: int) -> Batch:
        """n of them, those that n calls of `sample` would draw; each keeps a random share of the slots."""
        draws = rng.random((n, 1 + 2 * self.n_slots))
        original = Batch.of(self, [self.architecture]).take(np.zeros(n, dtype=np.int64))
        masks = original.masks()
        kept, order = draws[:, 1 : 1 + self.n_slots] < draws[:, :1], draws[:, 1 + self.n_slots :]
        nth = (order * masks.sum(-1)).astype(np.int64)
        drawn = (masks.cumsum(-1) > nth[..., None]).argmax(-1)
        return self.pruned(transition(original, np.where(kept, original.choices, drawn), masks).batch)

    # Costs and masks

    def cost(self, architecture: Architecture) -> Cost:
        """What the network costs; slots count that nothing uses and that are not null (`prune` leaves none)."""
        batch = Batch.of(self, [architecture])
        params, madds = self.costs_of(batch.choices, batch.topologies)[0].tolist()
        return Cost(params, madds)

    def layer_cost(self, name: str, architecture: Architecture) -> Cost:
        """What a slot's layer costs in an architecture, all calls counted: with the channels that it has there."""
        slot, pruned = self.slot(name), self.prune(architecture)
        if self._costs.widths is not None and slot.index in self._costs.widths.indices:
            return self._costs.widths.layer(slot.index, self._choices(pruned))
        return self._can.choices[name][pruned.operations[slot.index]].cost

    def cost_table(self, architecture: Architecture) -> CostTable:
        """What each operation adds in each slot, all calls counted, with what goes where that slot alone is null.

        A sum of it is never below the cost: only `cost` knows what goes where several are.
        """
        return self._costs.prices

    def costs_of(self, choices: np.ndarray, topologies: Topologies) -> np.ndarray:
        """int64 (B, 2): parameters and MAdds of the networks with primitives `choices` int (B, E)."""
        return self._costs.of(choices)

    @property
    def can_be_left_out(self) -> tuple[str, ...]:
        """The layers besides the slots that some architecture does without."""
        return tuple(self._costs.leftovers.costs)

    def left_out(self, architecture: Architecture) -> tuple[str, ...]:
        """The layers besides the slots that `build` leaves out: only nulls feed them, or would read them."""
        return tuple(self._costs.gone(self._choices(self.prune(architecture))))

    def are_left_out(self, choices: np.ndarray) -> np.ndarray:
        """int64 (B, L), 0 or 1: those of `can_be_left_out`, with primitives `choices` int (B, E) of pruned networks."""
        return self._costs.all_gone(choices)

    def _alone(self, index: int) -> np.ndarray:
        """The choices (E,) of the network in which this slot is null, and what nothing uses then."""
        operations = list(self.architecture.operations)
        operations[index] = "null"
        return self._choices(self.prune(self.architecture.with_operations(operations)))

    def masks_of(self, ops: np.ndarray, topologies: Topologies, rule: Rule, cost: CostMode) -> np.ndarray:
        """bool (B, E, K): masks where slots hold the operations of vocabulary indices `ops` int (B, E)."""
        masks = self._can.masks(ops, rule, cost)
        return self.without_revivals(masks, ops, topologies) if cost == "live" else masks

    def pruned(self, batch: Batch) -> Batch:
        """The batch with null in every slot that no path from input to output uses any more."""
        active = batch.choices != NULL
        live = live_slots(active, batch.topologies.wiring)
        unused = active & ~live & self._can.be_pruned & live.any(-1, keepdims=True)
        return batch.with_choices(np.where(unused, NULL, batch.choices)) if unused.any() else batch

    # Networks

    def fitted(self, images: Any) -> ModuleSpace:
        """The space itself, where the network gives one logit for each class of the data. ValueError where not."""
        check_outputs(self.model, next(batches(images.train, 2))[0], images)
        return self

    def supernet(self, reference: Tensor) -> nn.Module:
        """All choices of all slots; they begin with what fits the trained layers on the reference images."""
        from natrl.modules.network_supernet import ModuleSupernet

        return ModuleSupernet(self, reference, seed=torch.initial_seed() % 2**31)

    def inheritance(self, reference: Tensor, *, seed: int, device: torch.device) -> Inheritance:
        """What gives architectures weights of the trained network (natrl.modules.inherit)."""
        return Inheritance(self, reference, seed=seed, device=device)

    def identity(self) -> dict[str, Any]:
        """The network is known by its code and all that it holds."""
        sizes = {width.name: dict(width.sizes) for width in self.widths}
        return {"network": self.digest} | ({"widths": sizes} if sizes else {})

    @property
    def digest(self) -> str:
        """Of the network (natrl.digests)."""
        return self._sent or digest(self.model)

    def __getstate__(self) -> dict[str, Any]:
        # In a worker a module that the network's code reads may not be importable: its digest travels along.
        return self.__dict__ | {"_sent": self.digest}

    def build(self, architecture: Architecture, *, auxiliary: bool = False, verify: bool = True) -> nn.Module:
        """A copy of the model in which the slots' layers are replaced: the user's class, methods and other weights.

        A slot that holds what its layer is keeps the layer: `build(space.architecture)` computes the same to the last
        bit. New layers are freshly initialised, in the mode (training or evaluation) of those that they replace.
        Slots that nothing uses are built as null, and layers that only nulls feed or would read are left out
        (`left_out`): a null contributes exactly zero. Parameters that stay and that no gradient reaches any more, as
        a bias of the model's own that only a null reads, have `requires_grad` False. `verify` runs the network once, on
        shapes where that is possible.
        ValueError if the architecture is not one of this space, or the network does not run.
        """
        if auxiliary:
            raise ValueError(f"{self.name} has no auxiliary head for natrl to add")
        architecture = self.prune(self.check(architecture))
        untrained = self._costs.untrained(self._choices(architecture))
        network = self._builder.build(self.operations(architecture), self.left_out(architecture), untrained)
        if verify:
            self._builder.verify(network)
        return network

    def narrowed(self, architecture: Architecture) -> dict[str, nn.Module]:
        """By name the network's layers that get narrower, with the trained weights of the channels that they keep."""
        return self._builder.narrowing.layers(self.operations(self.prune(architecture)))

    def ends(self, architecture: Architecture) -> dict[str, tuple[Tensor | None, Tensor | None]]:
        """The channels, int64, that those layers keep of their inputs and of their outputs; None: all."""
        return self._builder.narrowing.ends(self.operations(self.prune(architecture)))

    def fresh(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module:
        """`build` with weights drawn at random. ValueError naming a part whose weights cannot be drawn anew."""
        return draw_anew(self.build(architecture, auxiliary=auxiliary))
