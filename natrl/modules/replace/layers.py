"""Which layers of a network can be replaced, and why the others stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from torch import nn, Tensor
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.pooling import (
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
    _AvgPoolNd,
    _LPPoolNd,
    _MaxPoolNd,
    FractionalMaxPool2d,
)
from torch.nn.utils import parametrize

from natrl.modules.replace.geometry import axes_of, geometry_of
from natrl.modules.replace.held import operation_of
from natrl.modules.replace.replacements import nothing
from natrl.modules.trace.forward import is_watched, is_within, Trace, WATCHED
from natrl.modules.trace.reach import reached, storage_key
from natrl.modules.trace.sandbox import Sandbox, type_name

__all__ = ["frozen_layers", "is_tampered_with", "kept_elsewhere", "shared_weights", "unremovable", "unreplaceable"]

_KINDS = (
    nn.Linear,
    _ConvNd,
    _MaxPoolNd,
    _AvgPoolNd,
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
    _LPPoolNd,
    FractionalMaxPool2d,
)
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def frozen_layers(model: nn.Module, traced: Trace) -> dict[str, str]:
    """Each convolution, linear layer, pooling and block that stays, by name, and the reason; what a trace can tell."""
    frozen: dict[str, str] = {}
    shared = shared_weights(model)
    called = {call.layer for call in traced.calls}
    for name, module in model.named_modules():
        if name in traced.blocks:
            reason = _block_reason(module) or shared.get(name) or _traced_block_reason(name, traced)
        elif isinstance(module, _KINDS):
            reason = "it is the model itself" if not name else _part_reason(name, traced) or _own_reason(module)
            reason = reason or shared.get(name) or _traced_reason(name, module, traced, name in called)
        else:
            continue
        if reason is not None:
            frozen[name] = reason
    for name, operations in traced.functional.items():
        module = model.get_submodule(name)
        if type(module).__module__.startswith("torch.ao."):  # quantised
            frozen[name] = _type_reason(module)
        elif not isinstance(module, _KINDS):
            frozen[f"{name or 'the model'} ({', '.join(sorted(operations))})"] = (
                "a function call, not a layer: a convolution, Linear, MaxPool or AvgPool of torch.nn can be replaced"
            )
    return frozen


def _own_reason(module: nn.Module) -> str | None:
    """Why a convolution or pooling stays, wherever it is used."""
    if parametrize.is_parametrized(module):
        return f"its {', '.join(module.parametrizations)} has a parametrization"  # type: ignore[arg-type]
    if not is_watched(module):
        return _type_reason(module)
    if any(getattr(module, hooks, None) for hooks in HOOKS):
        return "it has hooks, which would be lost"
    if "forward" in vars(module):
        return "its forward was replaced by another"
    own = {"weight", "bias"} if type(module) in WATCHED else set(module._parameters)
    if set(module._parameters) - own or module._buffers or module._modules:
        return "it carries parameters, buffers or modules besides its own"
    return None if operation_of(module) is not None else _no_operation(module)


def _type_reason(module: nn.Module) -> str:
    if isinstance(module, _ConvTransposeNd):
        return "it is a transposed convolution, which no operation is"
    base = next((kind.__name__ for kind in type(module).__mro__[1:] if kind in WATCHED), None)
    subclass = f", a subclass of torch's {base}" if base else ""
    only = "only torch's own convolutions, Linear, MaxPool and AvgPool can be replaced"
    return f"its type is {type_name(module)}{subclass}, and {only}"


def _no_operation(module: Any) -> str:
    """Why a layer holds no operation of the vocabulary."""
    if getattr(module, "return_indices", False):
        return "it returns indices"
    if getattr(module, "divisor_override", None) is not None:
        return "it divides by a number of its own"
    geometry = geometry_of(module)  # of a pooling
    if max(geometry.dilation) > 1:
        return "it is a dilated pooling, which no operation is"
    return f"no operation has its kernel of {'×'.join(map(str, geometry.kernel))}"


def _part_reason(name: str, traced: Trace) -> str | None:
    """Why a layer in a block stays."""
    block = next((block for block in traced.blocks if is_within(name, (block,))), None)
    return None if block is None else f"layer {block!r}, which it is part of, stays or goes as a whole"


def is_tampered_with(module: nn.Module) -> bool:
    """Whether more than its class makes a module what it is."""
    hooks = any(getattr(part, hooks, None) for part in module.modules() for hooks in HOOKS)
    return hooks or "forward" in vars(module) or any(parametrize.is_parametrized(part) for part in module.modules())


def _block_reason(module: nn.Module) -> str | None:
    return (
        "it has hooks, parametrizations or another forward, which would be lost" if is_tampered_with(module) else None
    )


def _traced_block_reason(name: str, traced: Trace) -> str | None:
    calls = traced.calls_of(name)
    if not calls or name in traced.strayed:
        return _strayed_reason(name, traced) or "it is not called on the example input"
    if not all(call.is_plain for call in calls):
        return "it gives more than one tensor"
    if any(call.in_shape != call.out_shape for call in calls):
        return "what it gives has another shape than what it reads"
    return None


def _strayed_reason(name: str, traced: Trace) -> str | None:
    if name in traced.strayed:
        return f"its weights are used outside its own call, by {', '.join(sorted(traced.strayed[name]))}"
    return None


def _traced_reason(name: str, module: nn.Module, traced: Trace, called: bool) -> str | None:
    if (reason := _strayed_reason(name, traced)) is not None:
        return reason
    if not called:
        return "it is not called on the example input"
    shapes, axes = [call.in_shape for call in traced.calls if call.layer == name], axes_of(module)
    if any(len(shape) != axes + 2 if axes else len(shape) < 2 for shape in shapes):
        return "it is called on an image without a batch dimension"
    return None


def unremovable(model: nn.Module, sandbox: Sandbox, blocks: Collection[str]) -> dict[str, str]:
    """Which blocks the model does not run without, and that it does not: copies of it are run with zeros for them."""
    replaced = {model.get_submodule(name): nothing(model.get_submodule(name)) for name in blocks}
    if not replaced:
        return {}
    try:
        sandbox.run(sandbox.copy(model, replaced))
        return {}
    except Exception:  # by the model's own code
        if len(blocks) == 1:
            return {next(iter(blocks)): "the model does not run without it"}
    order = list(blocks)
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    return unremovable(model, sandbox, halves[0]) | unremovable(model, sandbox, halves[1])


def shared_weights(model: nn.Module) -> dict[str, str]:
    """Layers with a parameter that another module holds too."""
    holders: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                holders.setdefault(id(parameter), []).append(name)
    return {
        name: f"its weights are tied to those of {', '.join(n for n in names if n != name) or 'itself'}"
        for names in holders.values()
        if len(names) > 1
        for name in names
    }


def kept_elsewhere(model: nn.Module, names: Collection[str]) -> dict[str, str]:
    """Which of the layers have weights that something else in the model refers to, or shares the memory of."""
    layers = {name: model.get_submodule(name) for name in names}
    outside = reached([model], within={id(layer) for layer in layers.values()})
    kept = {storage_key(found) for found in outside if isinstance(found, Tensor)}
    return {
        name: "its weights are kept elsewhere in the model, too"
        for name, layer in layers.items()
        if any(storage_key(p) in kept for p in layer.parameters())
    }


class _Marker(nn.Module):
    """Stands where a layer stood, calls it, and notes what else is asked of it.

    Its parameters, if the layer has any, are others than the layer's and than those of other markers: a replacement's.
    """

    def __init__(self, layer: nn.Module, number: int) -> None:
        super().__init__()
        self._hidden = (layer,)  # not among the submodules
        self.calls = 0
        self.asked: set[str] = set()
        for parameter in islice(layer.parameters(), 1):
            self.first = nn.Parameter(parameter.detach().new_ones((number + 2, 3, 5, 7)), parameter.requires_grad)
            self.second = nn.Parameter(parameter.detach().new_ones(number + 2), parameter.requires_grad)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self._hidden[0](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            value = getattr(self.__dict__["_hidden"][0], name)
        self.asked.add(name)
        return value


def unreplaceable(model: nn.Module, sandbox: Sandbox, calls: Mapping[str, int]) -> dict[str, str]:
    """Which layers another module cannot stand for, and why: a copy of the model is run with stand-ins for all.

    `calls`: how often each of the layers was called in the trace.
    """
    if not calls:
        return {}
    markers = {name: _Marker(sandbox.copy(model.get_submodule(name)), i) for i, name in enumerate(calls)}
    replaced = {model.get_submodule(name): marker for name, marker in markers.items()}
    try:
        sandbox.run(sandbox.copy(model, replaced))
    except Exception:  # by the model's own code
        return dict(_blamed(model, sandbox, calls))
    return {name: reason for name, marker in markers.items() if (reason := _complaint(marker, calls[name])) is not None}


def _blamed(model: nn.Module, sandbox: Sandbox, calls: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Narrows down which of the stand-ins the model does not run with, by halves."""
    if len(calls) == 1:
        yield next(iter(calls)), "the model does not run with another module in its place"
        return
    order = list(calls)
    for half in (order[: len(order) // 2], order[len(order) // 2 :]):
        yield from unreplaceable(model, sandbox, {name: calls[name] for name in half}).items()


def _complaint(marker: _Marker, calls: int) -> str | None:
    if marker.asked:
        return f"the model reads its {', '.join(sorted(marker.asked))}, which a replacement need not have"
    if marker.calls != calls:
        return "another module in its place is not what the model calls"
    return None
