"""One forward pass through a network: which layers ran, on what, and what became of their outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from torch import nn, Tensor

from natrl.core.operations import Cost
from natrl.modules.replace.copies import NotTheModelError
from natrl.modules.replace.geometry import LAYERS
from natrl.modules.replace.subclasses import is_plain_layer
from natrl.modules.trace.provenance import Provenance
from natrl.modules.trace.sandbox import Sandbox
from natrl.modules.trace.torch_operations import tensors

__all__ = ["Call", "Flow", "Trace", "WATCHED", "blocks_of", "is_watched", "is_within", "trace", "trace_training"]

#: The layers whose calls are recorded: torch's own types. A subclass may do something else (`is_watched`).
WATCHED = LAYERS
OUTPUT, ATTRIBUTE = "the output", "an attribute"


class Call(NamedTuple):
    """One call of a watched layer or block. Shapes are of the first tensor that it reads, and of what it gives."""

    layer: str
    sources: frozenset[int]  # of its input
    met: frozenset[str]  # what its output ran into first: "add", "cat", "mul", another operation, "layer …", or OUTPUT
    gates: frozenset[frozenset[int]]  # sources of other factors that its output was multiplied with on the way there
    in_shape: tuple[int, ...]  # (B, Cin, H, W), say; of a linear layer (B, …, Cin)
    out_shape: tuple[int, ...]  # (B, Cout, H', W'); (B, …, Cout)
    madds: int  # of all images
    is_plain: bool = True  # it gave one tensor, and nothing else (nn.MultiheadAttention: weights, or None, besides)


class Flow(NamedTuple):
    """One call of a layer that is watched, or has parameters or buffers and no watched layer in it."""

    layer: str
    reads: frozenset[int]  # inputs, and calls by their place among the flows; below 0: parameters
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None  # of its only tensor and of what it gives; None: others
    madds: int  # of all images


@dataclass(frozen=True)
class Trace:
    """What a network did with its example input. Sources are numbers: inputs first, then calls as they happened."""

    inputs: int
    batch: int  # images of the example input
    calls: tuple[Call, ...]  # call i is source inputs + i
    outputs: tuple[frozenset[int], ...]  # the sources of each tensor of the output; training: and of attributes
    #: The sources of each pair of factors, both ways round, and of what must not be zero with those of each output.
    products: frozenset[tuple[frozenset[int], frozenset[int]]]
    flows: tuple[Flow, ...]  # flow i is number inputs + i
    ends: frozenset[int]  # numbers of the inputs, flows and parameters that outputs and attributes are made from
    running: frozenset[str]  # the modules that were called
    strayed: Mapping[str, frozenset[str]]  # watched layer → operations that read its weights outside its calls
    functional: Mapping[str, frozenset[str]]  # module → convolutions and poolings that it ran without a layer
    blocks: frozenset[str]  # modules that were watched as a whole
    madds: int  # of one image, as torch's FlopCounterMode counts; attention that torch runs as one operation, too
    picks: bool  # whether it took a part of a tensor in which something does not come from the inputs
    complete: bool  # it ran without data; else its path may depend on values, and only the example's was seen

    def calls_of(self, layer: str) -> tuple[Call, ...]:
        """The calls of one layer."""
        return tuple(call for call in self.calls if call.layer == layer)

    def cost_of(self, name: str, layer: nn.Module) -> Cost:
        """What a layer that flows costs, all of its calls."""
        madds = sum(flow.madds for flow in self.flows if flow.layer == name) // self.batch
        return Cost(sum(p.numel() for p in layer.parameters()), madds)


def trace(model: nn.Module, sandbox: Sandbox, blocks: Collection[str] = ()) -> Trace:
    """Runs a copy of the model once. The model itself is not touched. ValueError in one line where it does not run.

    `blocks`: modules that are watched as a whole, as if they were layers; what is in them is not.
    """
    return sandbox.attempt(model, lambda: _trace(model, sandbox, blocks))


def trace_training(model: nn.Module, sandbox: Sandbox, blocks: Collection[str] = ()) -> tuple[Trace, Sandbox] | None:
    """The same in training mode, where other layers may run; None where the model does not run so without labels."""
    training = sandbox.in_training()
    try:
        return trace(model, training, blocks), training
    except NotTheModelError:
        raise
    except ValueError:
        return None


def blocks_of(model: nn.Module, traced: Trace) -> set[str]:
    """Modules that use the weights of their linear layers or convolutions without calling these.

    Attention, for the most part: torch's own, and whoever gives weights to a function. Nothing within can be replaced
    for itself (what is called there makes constants, of positions, say), but the whole can be left out.
    """
    constant = set[int]()
    for number, call in enumerate(traced.calls, start=traced.inputs):
        constant |= {number} if call.sources <= constant else set()
    called = {call.layer for n, call in enumerate(traced.calls, start=traced.inputs) if n not in constant}
    found = {name for name, module in model.named_modules() if type(module) is nn.MultiheadAttention}
    for layer in traced.strayed.keys() - called:
        parts = layer.split(".")
        above = (".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
        found |= {next((name for name in above if name in traced.running), "")}
    found = {name for name in found if name in traced.running and not any(is_within(c, (name,)) for c in called)}
    return {name for name in found - {""} if not is_within(name.rpartition(".")[0], found - {""})}


def is_watched(module: nn.Module) -> bool:
    """Whether the calls of a module are recorded."""
    return type(module) in WATCHED or is_plain_layer(module)


def is_within(name: str, blocks: Collection[str]) -> bool:
    """Whether a module is one of the blocks, or in one."""
    return any(f"{name}.".startswith(f"{block}.") for block in blocks)


def _trace(model: nn.Module, sandbox: Sandbox, blocks: Collection[str]) -> Trace:
    copy = sandbox.copy(model)
    inputs = sandbox.example(copy)
    modules = dict(copy.named_modules())
    _check_modules(model, modules, sandbox.training)
    layers = {name for name, module in model.named_modules() if name and is_watched(module)}
    watched = {name: modules[name] for name in layers if not is_within(name, blocks)}
    watched |= {name: modules[name] for name in blocks}
    owners = {id(p): name for name, module in watched.items() for p in module.parameters()}
    provenance = Provenance(owners, sandbox.original)
    recorder = _Recorder(provenance, len(inputs), {id(modules[name]) for name in layers})
    for name, module in modules.items():
        if name in watched:
            recorder.watch(name, module)
        elif not is_within(name, blocks):
            recorder.follow(name, module)
    provenance.mark_parameters(copy.parameters())
    for i, tensor in enumerate(inputs):
        provenance.mark(tensor, i, i)
    with sandbox.original.guarded(provenance.where) if sandbox.original else nullcontext():
        output = sandbox.run(copy, provenance, inputs=inputs)
    _check_weights(model, copy)
    kept = _attributes(copy)
    given = [provenance.sources(tensor, OUTPUT) for tensor in tensors(output)]
    read = [provenance.sources(tensor, ATTRIBUTE) for tensor in kept]
    outputs = tuple(sources for sources in given + (read if sandbox.training else []) if sources)  # a loss may read
    seen = [
        (frozenset(provenance.met[number]), frozenset(provenance.gates[number]))
        for number in range(len(inputs), len(inputs) + len(recorder.calls))
    ]
    return Trace(
        inputs=len(inputs),
        batch=sandbox.batch,
        calls=tuple(call._replace(met=m, gates=g) for call, (m, g) in zip(recorder.calls, seen, strict=True)),
        outputs=outputs,
        products=frozenset(provenance.products.union(product(provenance.divisors, outputs))),
        flows=tuple(recorder.flows),
        ends=provenance.flows((output, kept)),
        running=frozenset(recorder.running),
        strayed={name: frozenset(by) for name, by in provenance.strayed.items()},
        functional={name: frozenset(by) for name, by in provenance.functional.items()},
        blocks=frozenset(blocks),
        madds=provenance.flops // 2 // sandbox.batch,
        picks=provenance.picks,
        complete=sandbox.fake,
    )


def _check_modules(model: nn.Module, modules: Mapping[str, nn.Module], training: bool) -> None:
    """ValueError where a copy of the model has other layers as soon as it is in one of the modes."""
    other = dict(model.named_modules()).keys() ^ modules.keys()
    if other:
        mode, call = ("training", "train") if training else ("evaluation", "eval")
        raise NotTheModelError(
            f"{type(model).__name__} makes or drops layer {min(other)!r} when it goes into {mode} mode: give it after "
            f"model.{call}()"
        )


def _check_weights(model: nn.Module, copy: nn.Module) -> None:
    """ValueError where a forward pass made weights, which would be others in every copy."""
    made = dict(copy.named_parameters()).keys() - dict(model.named_parameters()).keys()
    if made:
        raise NotTheModelError(
            f"{type(model).__name__} makes its {min(made)!r} in the forward pass: run model(example_input) once before"
        )


def _attributes(model: nn.Module) -> list[Tensor]:
    """The tensors that modules keep besides parameters (in lists, say) and buffers."""
    own = (value for module in model.modules() for name, value in vars(module).items() if not name.startswith("_"))
    return [tensor for tensor in tensors(list(own)) if not isinstance(tensor, nn.Parameter)]


class _Recorder:
    """Hooks that note calls."""

    def __init__(self, provenance: Provenance, inputs: int, layers: Collection[int]) -> None:
        """`layers`: the ids of those that may be watched."""
        self._provenance, self._inputs, self._layers = provenance, inputs, layers
        self._within: str | None = None  # the layer whose flow is open
        self.calls: list[Call] = []
        self.flows: list[Flow] = []
        self.running: set[str] = set()

    def follow(self, name: str, module: nn.Module) -> None:
        """Notes while a module runs, and what flows through it if it has a state of its own."""
        stateful = bool(module._parameters or module._buffers)
        stateful = stateful and not any(id(part) in self._layers for part in module.modules())
        leave_flow: list[Callable[[Any], None]] = []

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            self.running.add(name)
            self._provenance.running.append(name)
            if stateful and self._within is None:
                leave_flow.append(self._enter_flow(name, (args, kwargs)))

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            self._provenance.running.pop()
            if leave_flow and self._within == name:
                leave_flow.pop()(output)

        module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
        module.register_forward_hook(leave, always_call=True)

    def _enter_flow(self, name: str, given: Any) -> Callable[[Any], None]:
        """What to call with the output at the end."""
        self._within, read, flops = name, tensors(given), self._provenance.flops
        reads = self._provenance.flows(given)

        def leave(output: Any) -> None:
            self._within = None
            if output is None:
                return
            plain = len(read) == 1 and isinstance(output, Tensor)
            shapes = ((*read[0].shape,), (*output.shape,)) if plain else None
            self._provenance.mark_flow(output, self._inputs + len(self.flows))
            self.flows.append(Flow(name, reads, shapes, (self._provenance.flops - flops) // 2))

        return leave

    def watch(self, name: str, module: nn.Module) -> None:
        """Notes every call of a watched layer, which is a source."""
        open_calls: list[tuple[frozenset[int], tuple[int, ...], int, Callable[[Any], None]]] = []

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            sources = self._provenance.sources((args, kwargs), f"layer {name!r}")
            shape = (*tensors((args, kwargs))[0].shape,)
            open_calls.append((sources, shape, self._provenance.flops, self._enter_flow(name, (args, kwargs))))
            self._provenance.layer = name

        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self._provenance.layer = None
            self.running.add(name)
            sources, shape, flops, leave_flow = open_calls.pop()
            if output is None:  # it failed, and the model may go on without it
                leave_flow(None)
                return
            self._provenance.mark(output, self._inputs + len(self.calls), self._inputs + len(self.flows))
            madds = (self._provenance.flops - flops) // 2
            shapes = shape, (*tensors(output)[0].shape,)
            self.calls.append(Call(name, sources, frozenset(), frozenset(), *shapes, madds, _is_plain(module, output)))
            leave_flow(output)

        module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
        module.register_forward_hook(leave, with_kwargs=True, always_call=True)


def _is_plain(module: nn.Module, output: Any) -> bool:
    return isinstance(module, nn.MultiheadAttention) or isinstance(output, Tensor)
