"""A network's forward pass as a graph: what `natrl.export.module_code` turns into code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.utils._pytree import tree_unflatten

from natrl.checks.errors import summary
from natrl.export.program import export_program, shape_conditions
from natrl.export.subject import Subject

__all__ = ["Captured", "exported", "is_leaf", "traced"]

#: How torch.export writes parts that a network runs with autocast or gradients switched on or off.
SWITCHED = ("wrap_with_autocast", "wrap_with_set_grad_enabled")
CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class Captured(NamedTuple):
    """A graph, and the conditions on the inputs' shapes under which it is the network's (natrl.export.program)."""

    module: fx.GraphModule
    conditions: tuple[str, ...] = ()


class _Tracer(fx.Tracer):
    """Follows a network with as many inputs as the example has: optional and starred ones are as they are then."""

    def __init__(self, own: Iterable[type[nn.Module]], inputs: Sequence[str]) -> None:
        super().__init__()
        self._own, self._inputs = tuple(own), inputs

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(module, self._own)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        return self.root.forward, [self.create_proxy("placeholder", name, (), {}) for name in self._inputs]


def is_leaf(module: nn.Module, own: Iterable[type[nn.Module]]) -> bool:
    """Whether code calls the module as it is: torch's own kinds, but containers, and those in `own`.

    None whose forward was replaced or has hooks: what they do is part of the code.
    """
    kind = type(module)
    changed = "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks
    torchs = kind.__module__.startswith("torch.nn.modules.") and kind not in CONTAINERS
    return (kind in tuple(own) or torchs) and not changed


def traced(subject: Subject, own: Iterable[type[nn.Module]]) -> Captured:
    """By torch.fx, which keeps torch's own modules as they are (and those of the types `own`) and shapes as they come.

    ValueError in one line where it cannot follow the network.
    """
    model = subject.copy()
    try:
        found = fx.GraphModule(model, _Tracer(own, subject.input_names).trace(model))
    except Exception as error:  # whatever a model's own code raises when it meets proxies
        raise ValueError(f"{subject.name} cannot be followed by torch.fx ({summary(error, 120)})") from None
    _clean(found.graph)
    return Captured(found)


def exported(subject: Subject, own: Iterable[type[nn.Module]]) -> Captured:
    """By torch.export, in aten operations alone; with the example's sizes where it cannot follow others.

    ValueError in one line where it cannot follow the network.
    """
    try:
        program = export_program(subject)
    except ValueError:
        program = export_program(subject, axes=1)
    found = program.module(check_guards=False)
    found.graph.set_codegen(fx.graph.CodeGen())  # plain arguments instead of a tree of them
    output = next(node for node in found.graph.nodes if node.op == "output")
    output.args = (tree_unflatten(list(output.args[0]), program.call_spec.out_spec),)
    _unwrap(found)
    _clean(found.graph)
    return Captured(found, shape_conditions(subject, program))


def _unwrap(module: fx.GraphModule) -> None:
    """Parts with autocast or gradients switched go among the rest: neither makes a difference in evaluation mode.

    (Where autocast is switched on it does: then the code does not give what the network gives, and is refused.)
    """
    for node in [node for node in module.graph.nodes if getattr(node.target, "__name__", "") in SWITCHED]:
        place = next(i for i, a in enumerate(node.args) if isinstance(a, fx.Node) and a.op == "get_attr")
        part = getattr(module, str(node.args[place].target))
        _unwrap(part)
        inputs = dict(zip(part.graph.find_nodes(op="placeholder"), node.args[place + 1 :], strict=True))
        with module.graph.inserting_before(node):
            outputs: Any = module.graph.graph_copy(part.graph, inputs)
        for user in list(node.users):  # operator.getitem
            user.replace_all_uses_with(outputs[user.args[1]])
            module.graph.erase_node(user)
        module.graph.erase_node(node)


def _clean(graph: fx.Graph) -> None:
    """Without assertions, what only they need, and types of a user's own; on the device of the input."""
    first = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(list(graph.find_nodes(op="placeholder"))[-1]):
        device = graph.call_function(getattr, (first, "device"))
    for node in list(graph.nodes):
        node.type = None
        if node.op == "call_function" and node.target is torch._assert:
            graph.erase_node(node)
        elif node is not device:
            for arguments in ("args", "kwargs"):
                given = getattr(node, arguments)
                setattr(
                    node,
                    arguments,
                    fx.node.map_aggregate(given, lambda a: device if isinstance(a, torch.device) else a),
                )
    graph.eliminate_dead_code()
