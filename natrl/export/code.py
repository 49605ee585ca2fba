"""model.py: a network as source code that needs torch alone."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from natrl import formats
from natrl.core.architecture import Architecture
from natrl.core.operations import BUILT_IN, Convolution, LOW_RANKS, operation, stages
from natrl.spaces import network_cost, Skeleton

__all__ = ["model_code"]

C = 4  # stands for the channels of a slot, and 2 for its stride, where operations are turned into code


def model_code(architecture: Architecture, skeleton: Skeleton) -> str:
    """Source code of a class `Network`: images (B, channels, size, size) → logits (B, num_classes).

    Its state_dict has the keys and shapes of `natrl.build_network`, and it gives the same logits. The skeleton's
    numbers are defaults of its arguments. ValueError if the architecture is malformed, or the skeleton cannot stack its
    cells.
    """
    from natrl import __version__

    plan = skeleton.plan(architecture.validate())
    cost = network_cost(architecture, skeleton)
    used = list(dict.fromkeys(architecture.operations))
    two_inputs = architecture.cells[0].inputs == 2
    even_pooling = any(operation(name).is_pooling and operation(name).kernel % 2 == 0 for name in used)
    halving = two_inputs or (architecture.cells[0].reduction and "skip_connect" in used)
    return _template().render(
        version=__version__,
        cells=_cells(architecture),
        two_inputs=two_inputs,
        skeleton=skeleton,
        params=formats.count(cost.params),
        madds=formats.count(cost.madds),
        operations={name: _operation(name, halving) for name in used},
        even_pooling=even_pooling,
        null="null" in used,
        halving=halving,
        residual=any(block.cell is None for block in plan),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("natrl", "export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # not escaped: all that goes in are numbers and names that `validate` has checked
    return environment.get_template("model.py.jinja")


def _cells(architecture: Architecture) -> list[dict[str, Any]]:
    """For each cell its name in the code, slots (operation, source, target), output nodes and stride at its inputs."""
    names = ("NORMAL", "REDUCE") if len(architecture.cells) == 2 else ("CELL",)
    cells = []
    for name, (cell, operations) in zip(names, architecture.by_cell(), strict=True):
        slots = [(op, s, t) for op, (s, t) in zip(operations, cell.edges, strict=True)]
        cells.append({"name": name, "slots": slots, "outputs": cell.outputs, "stride": 2 if cell.reduction else 1})
    return cells


def _operation(name: str, halving: bool) -> str:
    """The expression that builds an operation's module from `c` channels and stride `s`; unless `halving`, s is 1."""
    op = operation(name)
    if name not in BUILT_IN:
        raise ValueError(f"operation {name!r} is not natrl's: its network is exported as ONNX or program, not as code")
    if op.is_pooling:
        if op.kernel % 2 == 0:
            return f'EvenPooling("{op.type}", {op.kernel}, s)'
        module, rest = ("MaxPool2d", "") if op.type == "max_pool" else ("AvgPool2d", ", count_include_pad=False")
        return f"nn.{module}({op.kernel}, s, {op.kernel // 2}{rest})"
    if op.type == "null":
        return "Null(s)"
    if op.type == "skip_connect":
        return "nn.Identity()" + (" if s == 1 else FactorizedReduction(c, c)" if halving else "")
    if op.is_low_rank:
        rank = f"max(1, c // {LOW_RANKS[op.type]})"
        return f"stage(conv(c, {rank}, 1, s), conv({rank}, c, 1))"
    parts = [f"stage({', '.join(map(_convolution, stage))})" for stage in stages(op.name, C, 2)]
    return parts[0] if len(parts) == 1 else "nn.Sequential(\n        " + ",\n        ".join(parts) + ",\n    )"


def _convolution(conv: Convolution) -> str:
    height, width = conv.kernel
    down, right = ("s" if stride == 2 else "1" for stride in conv.stride)
    arguments = ["c", "c", str(height) if height == width else f"({height}, {width})"]
    if "s" in (down, right):
        arguments.append("s" if down == right else f"({down}, {right})")
    if conv.dilation > 1:
        arguments.append(f"dilation={conv.dilation}")
    if conv.groups > 1:
        arguments.append("groups=c")
    return f"conv({', '.join(arguments)})"
