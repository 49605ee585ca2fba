"""A module's forward pass as a graph: what `natrl.export.module_code` turns into code."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import fx, nn, Tensor

__all__ = ["capture", "is_leaf"]

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class _Tracer(fx.Tracer):
    def __init__(self, own: Iterable[type[nn.Module]]) -> None:
        super().__init__()
        self._own = tuple(own)

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(module, self._own)


def is_leaf(module: nn.Module, own: Iterable[type[nn.Module]]) -> bool:
    """Whether code calls the module as it is: torch's own kinds, but containers, and those in `own`."""
    kind = type(module)
    return kind in tuple(own) or (kind.__module__.startswith("torch.nn.modules.") and kind not in CONTAINERS)


def capture(model: nn.Module, inputs: tuple[Tensor, ...], own: Iterable[type[nn.Module]]) -> fx.GraphModule:
    """The graph of a model in evaluation mode: by torch.fx, else by torch.export, with any number of images.

    torch.fx keeps torch's own modules as they are (and those of the types `own`); torch.export gives aten operations
    alone. ValueError in one line where neither can follow the model.
    """
    try:
        graph = _Tracer(own).trace(model)
        found = fx.GraphModule(model, graph)
    except Exception:  # whatever a model's own code raises when it meets proxies
        found = _exported(model, inputs)
    _clean(found.graph)
    return found


def _exported(model: nn.Module, inputs: tuple[Tensor, ...]) -> fx.GraphModule:
    batch = torch.export.Dim("batch")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, inputs, dynamic_shapes=({0: batch},) * len(inputs))
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise ValueError(
            f"{type(model).__name__} cannot be followed, its path depends on values ({type(error).__name__}: "
            f"{first[:120]})"
        ) from None
    found = program.module(check_guards=False)
    found.graph.set_codegen(fx.graph.CodeGen())  # plain arguments instead of a tree of them
    output = next(node for node in found.graph.nodes if node.op == "output")
    if isinstance(output.args[0], tuple | list) and len(output.args[0]) == 1:
        output.args = (output.args[0][0],)
    return found


def _clean(graph: fx.Graph) -> None:
    """Without assertions, what only they need, and types of a user's own."""
    for node in list(graph.nodes):
        node.type = None
        if node.op == "call_function" and node.target is torch._assert:
            graph.erase_node(node)
    graph.eliminate_dead_code()
