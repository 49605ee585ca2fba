"""Where tensors come from: recorded operation by operation while a network runs once.

A source is a number: of an input of the network, or of a call of one of the layers that are watched. The sources of a
tensor are those that it was made from without passing through another watched layer. Its flows are finer: numbers of
inputs and of calls of all layers with a state, batch-norms as well, and (below 0) of parameters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from natrl.modules.replace.copies import OriginalModel
from natrl.modules.trace.torch_operations import (
    ATTENTION,
    CONVOLUTIONS,
    is_finite_at_zero,
    JOINS,
    keeps_places,
    PARTS,
    POOLINGS,
    SUMS,
    takes_shape_only,
    tensors,
    VALUES,
    written,
)

__all__ = ["Origin", "Provenance"]


Numbers = frozenset[int]  # of sources, calls or flows
Owed = frozenset[tuple[int, str]]  # calls, each with what made something else of its output


class Origin(NamedTuple):
    """What a tensor was made from."""

    sources: Numbers
    fresh: Numbers  # calls that met nothing but normalisations and activations on the way here
    owed: Owed  # calls from which other operations made this (the first of them): a gate, maybe
    flows: Numbers
    time: int


class Provenance(TorchDispatchMode):
    """Records while it is active.

    Afterwards `met` holds for each call what its output ran into first ("add", "cat", "mul", another operation, or what
    `sources` was told), and `gates` the sources of each other factor that it was multiplied with on the way there;
    `products`, for each two tensors that were joined otherwise than by a sum the sources of both;
    `divisors`, the sources of tensors that must not be zero, as in logarithms and quotients;
    `strayed`, for each watched layer whose parameters were read outside its calls, by what; `functional`, for each
    module the convolutions and poolings that it ran without a layer; `flops`, torch's count.
    """

    def __init__(self, owners: Mapping[int, str], original: OriginalModel | None) -> None:
        """`owners`: the watched layer that a parameter belongs to, by the parameter's id.

        `original`: the network of which a copy runs: none of its tensors may be read or written.
        """
        super().__init__()
        self._original = original
        self.layer: str | None = None  # the watched layer that is running
        self.running: list[str] = []  # modules, outermost first
        self.met: dict[int, set[str]] = defaultdict(set)
        self.gates: dict[int, set[Numbers]] = defaultdict(set)
        self.products: set[tuple[Numbers, Numbers]] = set()
        self.divisors: set[Numbers] = set()
        self.strayed: dict[str, set[str]] = defaultdict(set)
        self.functional: dict[str, set[str]] = defaultdict(set)
        self.flops = 0
        self.picks = False  # whether a part was taken after something was joined with what has no source
        self._joined = False
        self._owners = owners
        self._origins = WeakTensorKeyDictionary()
        self._clock = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket not in flop_registry and func is not torch.ops.prim.device.default:
            with self:  # as torch's FlopCounterMode: inference mode shows operations that autograd would have split
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        read = tensors((args, kwargs))
        if self._original is not None:
            self._original.check_use(read, self.where())
        out = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket) or ATTENTION.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=out)
        for tensor in read:
            owner = self._owners.get(id(tensor))
            if owner is not None and owner != self.layer:
                self.strayed[owner].add(func._overloadpacket.__name__)
        made = tensors(out)
        if self.layer is None and made and not takes_shape_only(func._overloadpacket.__name__):
            self._derive(func, args, kwargs, read, made)
        if func._overloadpacket.__name__ in VALUES:  # for the model's code to look at
            self._meet([o for tensor in read if (o := self._origin(tensor)) is not None], func._overloadpacket.__name__)
        return out

    def where(self) -> str:
        """The name of the layer that is running, "" the model's own code."""
        return self.layer or (self.running[-1] if self.running else "")

    def mark(self, values: Any, source: int, flow: int) -> None:
        """The tensors in `values` are this source's and this flow's, and nothing else's."""
        for tensor in tensors(values):
            self._note(tensor, frozenset((source,)), frozenset((source,)), frozenset(), frozenset((flow,)))

    def mark_parameters(self, parameters: Iterable[Tensor]) -> None:
        """They have no source, and are the flows −1, −2 and so on."""
        for i, parameter in enumerate(parameters):
            self._note(parameter, frozenset(), frozenset(), frozenset(), frozenset((-1 - i,)))

    def mark_flow(self, values: Any, flow: int) -> None:
        """The tensors in `values` are this flow's; their sources are what they were."""
        for tensor in tensors(values):
            origin = self._origin(tensor)
            if origin is not None:
                self._note(tensor, origin.sources, origin.fresh, origin.owed, frozenset((flow,)))

    def flows(self, values: Any) -> Numbers:
        """The flows of the tensors in `values`."""
        origins = (self._origin(tensor) for tensor in tensors(values))
        return Numbers().union(*(o.flows for o in origins if o is not None))

    def sources(self, values: Any, met: str) -> Numbers:
        """The sources of the tensors in `values`, which run into `met` here."""
        origins = [o for tensor in tensors(values) if (o := self._origin(tensor)) is not None]
        self._meet(origins, met)
        return Numbers().union(*(o.sources for o in origins))

    def knows(self, tensor: Tensor) -> bool:
        """Whether a tensor has a source."""
        origin = self._origin(tensor)
        return origin is not None and bool(origin.sources)

    def _derive(self, func: Any, args: Any, kwargs: Any, read: list[Tensor], made: list[Tensor]) -> None:
        """What an operation made comes from all that it read."""
        name = func._overloadpacket.__name__
        if name in CONVOLUTIONS or name in POOLINGS:
            self.functional[self.where()].add(name)
        origins = [(tensor, o) for tensor in read if (o := self._origin(tensor)) is not None]
        if not origins:
            return
        if JOINS.get(name) == "cat":
            self._joined |= len({self.knows(tensor) for tensor in read}) == 2
        self.picks |= self._joined and name in PARTS and bool(origins[0][1].sources)
        sources = Numbers().union(*(o.sources for _, o in origins))
        flows = Numbers().union(*(o.flows for _, o in origins))
        fresh, owed = Numbers(), Owed()
        known = [(tensor, o) for tensor, o in origins if o.sources]  # parameters have none
        divides = bool(known) and not is_finite_at_zero(func, args, kwargs, [tensor for tensor, _ in known])
        if divides:
            self.divisors.add(sources)
        if len({o[:2] for _, o in known}) > 1:
            fresh, owed = self._join(known, JOINS.get(name, name), made[0])
        elif divides:
            self._meet((o for _, o in known), name)
        elif known:
            fresh, owed = known[0][1].fresh, Owed().union(*(o.owed for _, o in known))
            if not keeps_places(func, known[0][0], made[0]):
                fresh, owed = frozenset(), owed.union((source, name) for source in fresh)
        changed = written(func, read)
        for tensor in (*made, *changed):
            self._note(tensor, sources, fresh, owed, flows)
        for tensor in changed:
            if tensor._base is not None:
                self._write_through(tensor._base, sources, flows, name)

    def _join(self, known: list[tuple[Tensor, Origin]], kind: str, made: Tensor) -> tuple[Numbers, Owed]:
        """What of several tensors is fresh and owed in what was made of them: of a product what a gate multiplies."""
        origins = [o for _, o in known]
        if kind not in SUMS:
            self.products |= {(a.sources, b.sources) for a in origins for b in origins if a.sources != b.sources}
        values = [o for tensor, o in known if o.fresh and tensor.shape == made.shape]
        value = min(values, key=lambda origin: min(origin.fresh), default=origins[0])
        gate = next(o for o in origins if o != value)
        made_of_it = bool(value.fresh) and min(gate.sources) >= min(value.fresh)  # as far as numbers tell
        if kind != "mul" or len(known) != 2 or not made_of_it:
            self._meet(origins, kind)
            return frozenset(), frozenset()
        for source in value.fresh:
            self.gates[source].add(gate.sources)
        self._meet([gate._replace(owed=frozenset(pair for pair in gate.owed if pair[0] not in value.fresh))], kind)
        return value.fresh, value.owed

    def _write_through(self, base: Tensor, sources: Numbers, flows: Numbers, name: str) -> None:
        """A view of `base` was written to: it comes from that too, and so do its other views."""
        before = self._origin(base)
        if before is not None:
            self._meet([before], name)
            sources, flows = sources | before.sources, flows | before.flows
        self._note(base, sources, frozenset(), frozenset(), flows)

    def _note(self, tensor: Tensor, sources: Numbers, fresh: Numbers, owed: Owed, flows: Numbers) -> None:
        self._clock += 1
        self._origins[tensor] = Origin(sources, fresh, owed, flows, self._clock)

    def _origin(self, tensor: Tensor) -> Origin | None:
        own = self._origins.get(tensor)
        base = None if tensor._base is None else self._origins.get(tensor._base)
        if base is None or (own is not None and own.time > base.time):
            return own
        if own is None:
            return base
        flows, owed = own.flows | base.flows, own.owed | base.owed
        return Origin(own.sources | base.sources, own.fresh & base.fresh, owed, flows, base.time)

    def _meet(self, origins: Iterable[Origin], what: str) -> None:
        """What is owed meets the next layer, or else what it met first."""
        for origin in origins:
            for source in origin.fresh:
                self.met[source].add(what)
            for source, first in origin.owed:
                self.met[source].add(what if what.startswith("layer ") else first)
