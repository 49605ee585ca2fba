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
from torch import nn, Tensor
from torch.utils._python_dispatch import _disable_current_modes, TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from natrl.modules.replace.copies import OriginalModel

__all__ = ["Origin", "Provenance", "tensors"]

#: What joins tensors, by the name of the operation; any other operation is a join of its own name.
JOINS = {
    **dict.fromkeys(("add", "add_", "sub", "sub_", "rsub"), "add"),
    **dict.fromkeys(("cat", "stack"), "cat"),
    **dict.fromkeys(("mul", "mul_", "div", "div_"), "mul"),
}
#: Normalisations, activations, dropout and copies that torch does not tag as pointwise.
POINTWISE = frozenset(
    (
        *("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm", "_native_batch_norm_legit"),
        *("_native_batch_norm_legit_no_training", "_batch_norm_with_update", "_batch_norm_no_update"),
        *("native_group_norm", "native_layer_norm", "hardswish", "hardswish_", "mish_", "threshold_", "celu_"),
        *("_prelu_kernel", "rrelu_with_noise", "native_dropout", "dropout_", "clone", "_to_copy", "detach", "alias"),
    )
)
#: What gives the values of its input, or some of them, in another order or shape: zeros of zeros.
MOVES = frozenset(
    (
        *("view", "_unsafe_view", "_reshape_alias", "as_strided", "permute", "transpose", "t", "squeeze", "unsqueeze"),
        *("expand", "slice", "select", "split", "split_with_sizes", "unbind", "roll", "flip", "pixel_shuffle"),
    )
)
#: What takes a part of a tensor.
PARTS = frozenset(("slice", "select", "split", "split_with_sizes", "unbind", "index", "index_select", "gather"))
#: What tells a value to the model's code, which may choose its way by it.
VALUES = frozenset(("_local_scalar_dense", "equal", "is_nonzero"))
#: Joins whose result is not zero where one of the tensors is.
SUMS = frozenset(("add", "cat", "copy_", "index_put", "index_put_", "where", "maximum", "minimum", "slice_scatter"))
CONVOLUTIONS = frozenset(("convolution", "_convolution", "conv1d", "conv2d", "conv3d"))
POOLINGS = frozenset(
    (
        *("max_pool1d", "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"),
        *("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "_adaptive_avg_pool2d"),
        *("_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    )
)


def _attention_flops(query: Tensor, *rest: Any, out_val: Any = None) -> int:
    """Four linear layers, and with weights the two products that they stand between: as torch counts it in parts.

    `query` (B, L, E); after it come keys, values, and what aten._native_multi_head_attention takes.
    """
    batch, length, width = query.shape
    needs_weights = rest[9] if len(rest) > 9 else True  # arguments that are the defaults are left out
    products = 2 * length if needs_weights else 0
    return 2 * batch * length * width * (4 * width + products)


def _encoder_layer_flops(query: Tensor, *rest: Any, out_val: Any = None) -> int:
    """Attention, and two linear layers of these weights (aten._transformer_encoder_layer_fwd)."""
    first, second = rest[13], rest[15]
    return _attention_flops(query, *[None] * 9, False) + 2 * query.shape[:-1].numel() * (first.numel() + second.numel())


#: What torch runs as one operation in evaluation mode, and does not count.
ATTENTION = {
    torch.ops.aten._native_multi_head_attention: _attention_flops,
    torch.ops.aten._transformer_encoder_layer_fwd: _encoder_layer_flops,
}


class Origin(NamedTuple):
    """What a tensor was made from."""

    sources: frozenset[int]
    fresh: frozenset[int]  # calls that met nothing but normalisations and activations on the way here
    owed: frozenset[tuple[int, str]]  # calls from which other operations made this (the first of them): a gate, maybe
    flows: frozenset[int]
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
        self.gates: dict[int, set[frozenset[int]]] = defaultdict(set)
        self.products: set[tuple[frozenset[int], frozenset[int]]] = set()
        self.divisors: set[frozenset[int]] = set()
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

    def flows(self, values: Any) -> frozenset[int]:
        """The flows of the tensors in `values`."""
        origins = (self._origin(tensor) for tensor in tensors(values))
        return frozenset[int]().union(*(o.flows for o in origins if o is not None))

    def sources(self, values: Any, met: str) -> frozenset[int]:
        """The sources of the tensors in `values`, which run into `met` here."""
        origins = [o for tensor in tensors(values) if (o := self._origin(tensor)) is not None]
        self._meet(origins, met)
        return frozenset[int]().union(*(o.sources for o in origins))

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
        sources = frozenset[int]().union(*(o.sources for _, o in origins))
        flows = frozenset[int]().union(*(o.flows for _, o in origins))
        fresh, owed = frozenset[int](), frozenset[tuple[int, str]]()
        known = [(tensor, o) for tensor, o in origins if o.sources]  # parameters have none
        divides = bool(known) and not is_finite_at_zero(func, args, kwargs, [tensor for tensor, _ in known])
        if divides:
            self.divisors.add(sources)
        if len({o[:2] for _, o in known}) > 1:
            fresh, owed = self._join(known, JOINS.get(name, name), made[0])
        elif divides:
            self._meet((o for _, o in known), name)
        elif known:
            fresh, owed = known[0][1].fresh, frozenset[tuple[int, str]]().union(*(o.owed for _, o in known))
            if not _keeps_places(func, known[0][0], made[0]):
                fresh, owed = frozenset(), owed.union((source, name) for source in fresh)
        changed = written(func, read)
        for tensor in (*made, *changed):
            self._note(tensor, sources, fresh, owed, flows)
        for tensor in changed:
            if tensor._base is not None:
                self._write_through(tensor._base, sources, flows, name)

    def _join(
        self, known: list[tuple[Tensor, Origin]], kind: str, made: Tensor
    ) -> tuple[frozenset[int], frozenset[tuple[int, str]]]:
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

    def _write_through(self, base: Tensor, sources: frozenset[int], flows: frozenset[int], name: str) -> None:
        """A view of `base` was written to: it comes from that too, and so do its other views."""
        before = self._origin(base)
        if before is not None:
            self._meet([before], name)
            sources, flows = sources | before.sources, flows | before.flows
        self._note(base, sources, frozenset(), frozenset(), flows)

    def _note(
        self,
        tensor: Tensor,
        sources: frozenset[int],
        fresh: frozenset[int],
        owed: frozenset[tuple[int, str]],
        flows: frozenset[int],
    ) -> None:
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


def _keeps_places(func: Any, read: Tensor, made: Tensor) -> bool:
    """Whether what an operation made of one tensor holds its values, each for itself, wherever they are then."""
    return func._overloadpacket.__name__ in MOVES or (is_pointwise(func) and made.shape == read.shape)


def is_pointwise(func: Any) -> bool:
    """Whether an operation is a normalisation, an activation, or another that keeps every pixel at its place."""
    packet = func._overloadpacket
    return torch.Tag.pointwise in func.tags or packet.__name__ in POINTWISE


def is_finite_at_zero(func: Any, args: Any, kwargs: Any, zeros: list[Tensor]) -> bool:
    """Whether a pointwise operation gives no infinity or NaN where these of its tensors are zero, and the others 1."""
    if torch.Tag.pointwise not in func.tags:
        return True
    zero = set(map(id, zeros))

    def stand_in(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.full((1,) * value.dim(), 0 if id(value) in zero else 1, dtype=value.dtype)

    with _disable_current_modes():
        try:
            found = func(*tree_map(stand_in, args), **tree_map(stand_in, kwargs))
            return all(bool(tensor.isfinite().all()) for tensor in tensors(found))
        except Exception:  # an operation that needs another device or another shape
            return True


def takes_shape_only(name: str) -> bool:
    """Whether an operation makes a tensor without reading values: new_zeros, empty_like."""
    return name.startswith("new_") or name.endswith("_like")


def written(func: Any, read: list[Tensor]) -> list[Tensor]:
    """The tensors that an operation changes in place, as far as its schema says so."""
    if not func._schema.is_mutable:
        return []
    first = func._schema.arguments[0].alias_info
    return read[:1] if first is not None and first.is_write else []


def tensors(values: Any) -> list[Tensor]:
    """The tensors in nested containers, and in the fields of objects that torch does not know as containers."""
    found: list[Tensor] = []
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dict__") and not isinstance(leaf, type | nn.Module):
            found += [value for value in vars(leaf).values() if isinstance(value, Tensor)]
    return found
