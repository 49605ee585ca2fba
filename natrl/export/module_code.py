"""Any network as source code that needs torch alone: its layers by their constructors, its forward pass traced."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

from torch import fx, nn, Tensor

from natrl.checks.arguments import checked
from natrl.checks.errors import summary
from natrl.export.construction import construction, OWN
from natrl.export.subject import is_same, run, Subject
from natrl.export.traced import Captured, exported, traced
from natrl.files.writing import write_atomically

__all__ = ["export_module_code", "module_code"]

PACKAGES = frozenset({"torch", "torchvision", *sys.stdlib_module_names})  # that the code may import
HOLDS = "this code holds for inputs with"


@checked
def export_module_code(model: nn.Module, example: Tensor | tuple[Tensor, ...], path: Path | str) -> Path:
    """Writes `module_code` whole or not at all; returns the path. ValueError where there can be no such code."""
    return write_atomically(Path(path), module_code(model, example))


def module_code(model: nn.Module, example: Tensor | tuple[Tensor, ...]) -> str:
    """Source code of a class `Network` that computes what the model does in evaluation mode, to the last bit.

    Its state_dict has the model's keys and shapes. `example`: the model's input or inputs (B, …). The code holds for
    every batch and size at which the model runs; where the model's path depends on sizes, the code refuses those that
    go another way and says which it holds for. It has been run when it is returned: with the model's weights it gave
    the model's outputs for the example, other batches and other sizes. ValueError in one line where there can be none:
    the model's path depends on values, a layer does not tell its arguments, or another package than torch and
    torchvision is needed.
    """
    subject = Subject.of(model, example)
    for capture in (traced, exported):
        try:
            return _code(subject, capture(subject, OWN))
        except ValueError as error:
            reason = str(error)
    raise ValueError(reason)


def _code(subject: Subject, captured: Captured) -> str:
    """The code of a graph. ValueError unless it gives what the network gives."""
    statements = construction(subject.model, captured.module)
    forward, imports = _forward(captured.module.graph)
    code = _render(subject.name, statements, forward, imports, captured.conditions)
    _check(code, subject)
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

Needs {packages} alone.{sizes} The keys of its state_dict are those of the network it comes from:

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
REQUIRE = '''def require(holds, condition):
    """ValueError where the network that this was made from takes another path."""
    if not holds:
        raise ValueError(f"{holds_for} {{condition}}")


'''
CONSTANT = '''def constant(packed, shape, dtype):
    """A tensor that is in no state_dict."""
    values = bytearray(zlib.decompress(base64.b64decode(packed)))
    return torch.frombuffer(values, dtype=dtype).reshape(shape)


'''
NETWORK = """class Network(nn.Module):
    def __init__(self):
        super().__init__()
{statements}

{forward}
"""


def _render(name: str, statements: list[str], forward: str, imports: list[str], conditions: tuple[str, ...]) -> str:
    from natrl import __version__

    built = "\n".join(statements)
    own = [f"{inspect.getsource(kind)}\n\n" for kind in OWN if f"{kind.__name__}(" in built]
    first, _, rest = forward.partition("\n")
    forward = "\n".join((first, *(f'    require({c}, "{c}")' for c in conditions), rest))
    lines = [*imports, "import torch", "from torch import nn" + (", Tensor" if own else "")]
    lines += ["from torch.nn import functional"] if "functional." in "".join(own) else []
    packed = ", constant(" in built
    lines = ["import base64", "import zlib", *lines] if packed else lines
    lines = ["import math", *lines] if any("math." in c for c in conditions) else lines
    packages = "torch and torchvision" if any("torchvision" in line for line in imports) else "torch"
    sizes = " Sizes for which it does not hold are refused." if conditions else ""
    return (
        HEADER.format(name=name, version=__version__, packages=packages, sizes=sizes, imports="\n".join(lines))
        + "".join(own)
        + (GROUP if "Group(" in built else "")
        + (CONSTANT if packed else "")
        + (REQUIRE.format(holds_for=HOLDS) if conditions else "")
        + NETWORK.format(statements=indent(built, " " * 8), forward=indent(forward, " " * 4))
    )


def _check(code: str, subject: Subject) -> None:
    """ValueError unless the code gives what the network does, to the last bit, or says that it does not hold there."""
    namespace = dict[str, Any](__name__="model")
    example = subject.inputs, run(subject.copy(), subject.inputs)
    try:
        exec(compile(code, "model.py", "exec"), namespace)  # code that was just made from the caller's own model
        network = namespace["Network"]().eval()
        network.load_state_dict(subject.model.state_dict())
        wrong = next(
            (inputs for inputs, wanted in (example, *subject.others()) if not _gives(network, inputs, wanted)), None
        )
    except Exception as error:
        raise ValueError(f"the code of {subject.name} does not run: {summary(error)}") from None
    if wrong is not None:
        shapes = ", ".join(str(tuple(t.shape)) for t in wrong)
        raise ValueError(
            f"the code of {subject.name} does not give what the network gives for inputs of shape {shapes}"
        )


def _gives(network: nn.Module, inputs: tuple[Tensor, ...], wanted: Any) -> bool:
    try:
        return is_same(run(network, inputs), wanted)
    except ValueError as error:
        if HOLDS in str(error):
            return True
        raise
