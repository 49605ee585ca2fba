"""The constructor of a module as code: what `natrl.export.module_code` puts into `__init__`."""

from __future__ import annotations

import base64
import inspect
import json
import math
import zlib
from collections.abc import Collection, Iterator
from functools import reduce
from typing import Any

import torch
from torch import fx, nn, Tensor

from natrl.export.traced import is_leaf
from natrl.modules.replace.stand_ins import Copy, Crop, NoAttention, PaddedAverage, Zeros, ZerosLike

__all__ = ["OWN", "construction"]

OWN = (
    Copy,
    Crop,
    NoAttention,
    PaddedAverage,
    Zeros,
    ZerosLike,
)  # natrl's layers in networks: their source goes into the code
WINDOWS = ("kernel_size", "stride", "padding", "dilation")  # one number says the same of every axis
CONSTANTS = 256  # values of a tensor that is not in the state_dict and may stand in the code
PACKED = 8000  # characters that a larger one may take, such as attention's table of relative positions


def construction(model: nn.Module, captured: fx.GraphModule) -> list[str]:
    """Statements that build what the graph calls and what has a state, under the same names.

    Layers of torch's by their constructors, other modules as a `Group` of what they hold. ValueError in one line where
    a layer does not tell its arguments, or a large constant is not in the state_dict.
    """
    builder = _Builder(model, captured)
    return [*builder.modules(), *builder.tensors(), *builder.types()]


class _Builder:
    def __init__(self, model: nn.Module, captured: fx.GraphModule) -> None:
        self.model, self.captured = model, captured
        self.read = [str(node.target) for node in captured.graph.nodes if node.op == "get_attr"]
        self.called = {str(node.target) for node in captured.graph.nodes if node.op == "call_module"}
        self.leaves: list[str] = []  # names of what is built by its constructor
        self.kept: set[str] = set()
        for name in (*self.read, *self.called, *model.state_dict()):
            parts = name.split(".")
            self.kept |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        self.built: dict[nn.Module, str] = {}  # under which name
        self.aliases: list[tuple[str, str]] = []  # another name of a module that was built before, and its first

    def modules(self) -> Iterator[str]:
        for child, module in self._children(self.model, ""):
            built = self._expression(module, child, indent=0)
            yield f"self.{child} = {built}" if child.isidentifier() else f"self.add_module({_text(child)}, {built})"
        for name, first in self.aliases:
            parent, _, last = name.rpartition(".")
            yield f"{_path(parent)}.add_module({_text(last)}, {_path(first)})"

    def _children(self, module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
        """The modules to build in one, by their names there; those built before are noted."""
        for child, below in module._modules.items():
            path = f"{name}.{child}" if name else child
            if below is None or path not in self.kept:
                continue
            if below in self.built:
                self.aliases.append((path, self.built[below]))
            else:
                self.built[below] = path
                yield child, below

    def _expression(self, module: nn.Module, name: str, indent: int) -> str:
        if is_leaf(module, OWN):
            try:
                built = _constructor(module, name)
                self.leaves.append(name)
                return built
            except ValueError:
                if name in self.called:
                    raise
        space = " " * (indent + 4)
        lines = [
            f"{space}{_text(child)}: {self._expression(below, f'{name}.{child}', indent + 4)},\n"
            for child, below in self._children(module, name)
        ]
        return f"Group({{\n{''.join(lines)}{' ' * indent}}})" if lines else "Group({})"

    def tensors(self) -> Iterator[str]:
        """Parameters and buffers of modules that are no layers, and constants."""
        state = self.model.state_dict(keep_vars=True)
        leaves = tuple(f"{name}." for name in self.leaves)
        aliased = tuple(f"{name}." for name, _ in self.aliases)
        for name in dict.fromkeys((*state, *self.read)):
            tensor = state[name] if name in state else reduce(getattr, name.split("."), self.captured)
            if not isinstance(tensor, Tensor) or name.startswith((*leaves, *aliased)):
                continue
            parent, _, last = name.rpartition(".")
            empty = f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"
            if name not in state:
                call = f"register_buffer({_text(last)}, {_values(tensor, name)}, persistent=False)"
            elif isinstance(tensor, nn.Parameter):
                call = f"register_parameter({_text(last)}, nn.Parameter({empty}))"
            else:
                call = f"register_buffer({_text(last)}, {empty})"
            yield f"{_path(parent)}.{call}"

    def types(self) -> Iterator[str]:
        """Layers are built in torch's default type."""
        kinds = {tensor.dtype for tensor in self.model.parameters() if tensor.is_floating_point()}
        if len(kinds) == 1 and kinds != {torch.float32}:
            yield f"self.to({kinds.pop()})"


def _constructor(module: nn.Module, name: str) -> str:
    """A call of the module's type with the arguments that its attributes tell, where they differ from the defaults."""
    kind, positional, named = type(module), [], dict[str, Any]()
    for parameter in _parameters(kind):
        value = _argument(module, parameter)
        if value is parameter.empty:
            raise ValueError(f"layer {name!r}: a {kind.__name__} does not tell its {parameter.name}")
        if parameter.default is parameter.empty:
            positional.append(value)
        elif value != parameter.default:
            named[parameter.name] = value
    if not _builds(module, positional, named):
        raise ValueError(f"layer {name!r}: a {kind.__name__} does not tell its arguments")
    arguments = [_literal(value, name) for value in positional]
    arguments += [f"{key}={_literal(value, name)}" for key, value in named.items()]
    return f"{'' if kind in OWN else 'nn.'}{kind.__name__}({', '.join(arguments)})"


def _parameters(kind: type) -> Iterator[inspect.Parameter]:
    """What the constructor takes, with what it passes on to that of its base class."""
    given = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
    if kind is not object and any(p.kind is p.VAR_POSITIONAL for p in given):
        given += list(_parameters(kind.__mro__[1]))
    for parameter in given:
        named = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if named and parameter.name not in ("device", "dtype", "mode"):  # the last: what a recurrent layer is
            yield parameter


def _builds(module: nn.Module, positional: list[Any], named: dict[str, Any]) -> bool:
    """Whether a constructor with these arguments gives the same layer, by its name in torch.nn."""
    kind = type(module)
    try:
        with torch.device("meta"):
            again = kind(*positional, **named)
    except Exception:  # a layer that asks for more than its signature says
        return False
    shapes, found = ({key: value.shape for key, value in m.state_dict().items()} for m in (module, again))
    known = kind in OWN or getattr(nn, kind.__name__, None) is kind
    return known and shapes == found


def _argument(module: nn.Module, parameter: inspect.Parameter) -> Any:
    """What a constructor was given, from the attribute of the same name."""
    value = getattr(module, parameter.name, parameter.default)
    if parameter.name == "bias" and (value is None or isinstance(value, Tensor)):
        return value is not None
    pair = parameter.name in WINDOWS and isinstance(value, tuple) and len(set(value)) == 1
    return value[0] if pair and type(module) not in OWN else value


def _literal(value: Any, where: str) -> str:
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, tuple | list):
        return _sequence([_literal(v, where) for v in value])
    raise ValueError(f"layer {where!r}: {type(value).__name__} cannot be written as code")


def _sequence(parts: Collection[str]) -> str:
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _values(tensor: Tensor, name: str) -> str:
    """A constant tensor. Blur filters are the same for every channel."""
    repeated = tensor.dim() > 1 and bool((tensor == tensor[:1]).all())
    told = tensor[:1] if repeated else tensor
    if told.numel() > CONSTANTS:
        packed = _packed(tensor)
        if len(packed) > PACKED:
            raise ValueError(f"{name!r} is a tensor of shape {tuple(tensor.shape)} that is not in the state_dict")
        return f"constant({_text(packed)}, {tuple(tensor.shape)}, {tensor.dtype})"
    code = f"torch.tensor({told.tolist()}, dtype={tensor.dtype})"
    return f"{code}.repeat({len(tensor)}{', 1' * (tensor.dim() - 1)})" if repeated else code


def _packed(tensor: Tensor) -> str:
    """Its values as text, for `constant` in the code."""
    return base64.b64encode(zlib.compress(tensor.contiguous().view(torch.uint8).numpy().tobytes(), 9)).decode()


def _text(value: str) -> str:
    return json.dumps(value)


def _path(name: str) -> str:
    return f"self.get_submodule({_text(name)})" if name else "self"
