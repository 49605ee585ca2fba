"""Any network as source code that needs torch alone: its layers by their constructors, its forward pass traced."""

from __future__ import annotations

import inspect
import re
import sys
from copy import deepcopy
from pathlib import Path
from textwrap import indent
from typing import Any

import torch
from torch import fx, nn, Tensor
from torch.utils._pytree import tree_leaves

from natrl.export.capture import capture
from natrl.export.construction import construction, OWN
from natrl.files import write_atomically

__all__ = ["export_module_code", "module_code"]

PACKAGES = frozenset({"torch", "torchvision", *sys.stdlib_module_names})  # that the code may import


def export_module_code(model: nn.Module, example: Tensor | tuple[Tensor, ...], path: Path | str) -> Path:
    """Writes `module_code` whole or not at all; returns the path. ValueError where there can be no such code."""
    return write_atomically(Path(path), module_code(model, example))


def module_code(model: nn.Module, example: Tensor | tuple[Tensor, ...]) -> str:
    """Source code of a class `Network` that computes what the model does in evaluation mode, to the last bit.

    Its state_dict has the model's keys and shapes. `example`: the model's input or inputs (B, …), B at least 2. The
    code has been run when it is returned: with the model's weights it gave the model's outputs for the example.
    ValueError in one line where there can be none: the model's path depends on values, a layer does not tell its
    arguments, or another package than torch and torchvision is needed.
    """
    inputs = tuple(t.detach().cpu() for t in (example if isinstance(example, tuple) else (example,)))
    model = deepcopy(model).eval().to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    captured = capture(model, inputs, OWN)
    forward, imports = _forward(captured.graph)
    code = _render(type(model).__name__, construction(model, captured), forward, imports)
    _check(code, model, inputs)
    return code


def _forward(graph: fx.Graph) -> tuple[str, list[str]]:
    """The forward method, and the lines that import what it names."""
    python = graph.python_code("self")
    method = python.src[python.src.index("def forward(") :].rstrip()  # before it torch.fx marks functions for itself
    imports = []
    for name, value in python.globals.items():
        if name == "torch" or not re.search(rf"\b{re.escape(name)}\b", method):
            continue
        home = "math" if isinstance(value, float) else str(getattr(value, "__module__", "?"))
        original = getattr(value, "__qualname__", name)
        if home.split(".")[0] not in PACKAGES or "." in original:
            raise ValueError(f"the code would need {home}.{original}, which is not torch's")
        imports.append(f"from {home} import {original}" + (f" as {name}" if name != original else ""))
    return _indexed(method), sorted(imports)


def _indexed(method: str) -> str:
    """`getattr(self.layer, "0")` becomes `self.layer["0"]`: a Group can be asked for what it holds."""
    while (shorter := re.sub(r'getattr\((self[.\[][^()]*), ("[^"]*")\)', r"\1[\2]", method)) != method:
        method = shorter
    return method


HEADER = '''"""{name}, written by natrl {version}: what it computes in evaluation mode, without its class.

Needs {packages} alone. The keys of its state_dict are those of the network that it was made from:

    model = Network()
    model.load_state_dict(safetensors.torch.load_file("model.safetensors"))
    outputs = model.eval()(inputs)
"""

from __future__ import annotations

{imports}


'''
GROUP = '''class Group(nn.Module):
    """Holds modules (and tensors) by their names."""

    def __init__(self, modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def __getitem__(self, name):
        return getattr(self, name)


'''
NETWORK = """class Network(nn.Module):
    def __init__(self):
        super().__init__()
{statements}

{forward}
"""


def _render(name: str, statements: list[str], forward: str, imports: list[str]) -> str:
    from natrl import __version__

    built = "\n".join(statements)
    own = [f"{inspect.getsource(kind)}\n\n" for kind in OWN if f"{kind.__name__}(" in built]
    lines = [*imports, "import torch", "from torch import nn" + (", Tensor" if own else "")]
    lines += ["from torch.nn import functional"] if "functional." in "".join(own) else []
    packages = "torch and torchvision" if any("torchvision" in line for line in imports) else "torch"
    return (
        HEADER.format(name=name, version=__version__, packages=packages, imports="\n".join(lines))
        + "".join(own)
        + (GROUP if "Group(" in built else "")
        + NETWORK.format(statements=indent(built, " " * 8), forward=indent(forward, " " * 4))
    )


def _check(code: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """ValueError unless the code gives what the model does, to the last bit."""
    name, namespace = type(model).__name__, dict[str, Any](__name__="model")
    try:
        exec(compile(code, "model.py", "exec"), namespace)  # code that was just made from the caller's own model
        network = namespace["Network"]()
        network.load_state_dict(model.state_dict())
        with torch.no_grad():
            given, wanted = (tree_leaves(m.eval()(*(t.clone() for t in inputs))) for m in (network, model))
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"the code of {name} does not run: {type(error).__name__}: {reason}") from None
    same = len(given) == len(wanted) and all(
        a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(given, wanted, strict=True)
    )
    if not same:
        raise ValueError(f"the code of {name} does not give what the network gives")
