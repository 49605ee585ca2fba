"""A network by torch.export, for every size of its inputs or with the conditions on them that it holds under."""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import islice, product
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn, Tensor
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as symbolic_shapes

from natrl.checks.errors import summary
from natrl.export.subject import fitted, is_same, run, Subject

__all__ = ["export_program", "is_restricted", "is_taken", "shape_conditions"]

COMMON, LARGEST = (1, 2, 16, 17, 64), 1024  # sizes that are tried to find where a network goes another way
TRIES = 6  # of them for each condition
OF_ONES = re.compile(r"!= [01]$|^1 < |>= 2$")  # conditions that torch.export sets on sizes of 1, asked for or not


def export_program(subject: Subject, *, axes: int | None = None) -> ExportedProgram:
    """The network's path for the example, for any size that goes the same way.

    `axes`: how many axes of each input may be of another size than the example's; None: all; 1: the batch alone.
    ValueError in one line where torch.export cannot follow the network.
    """
    found = _export(subject, axes, strict=False)
    if axes is None and _is_pinned(found):  # as by int(size), which can be followed by reading the code
        try:
            return _export(subject, axes, strict=True)
        except ValueError:
            pass
    return found


def _export(subject: Subject, axes: int | None, strict: bool) -> ExportedProgram:
    shapes = tuple(dict.fromkeys(range(t.dim())[:axes], Dim.AUTO) for t in subject.inputs)
    model: Any = subject.copy()
    model.forward = _with_inputs(model.forward, subject.input_names)
    try:
        # 1 is a size like any other, unless the network asks for it
        with _quiet(), torch.no_grad(), symbolic_shapes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            return torch.export.export(model, subject.inputs, dynamic_shapes=shapes, strict=strict)
    except Exception as error:  # whatever torch meets in a user's code
        by_values = "data-dependent" in str(error).lower() or "DataDependent" in type(error).__name__
        why = "its path depends on values" if by_values else "torch.export does not take it"
        raise ValueError(f"{subject.name} cannot be followed, {why} ({summary(error, 120)})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch warns of and logs on the way to an error."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(None), redirect_stderr(None):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _shapes(program: ExportedProgram) -> dict[str, list[int | None]]:
    """Of the inputs, by name; None where a size is free."""
    inputs = program.graph_signature.user_inputs
    given = {n.target: n.meta["val"].shape for n in program.graph.find_nodes(op="placeholder") if n.name in inputs}
    return {str(name): [int(str(n)) if str(n).isdigit() else None for n in shape] for name, shape in given.items()}


def _is_pinned(program: ExportedProgram) -> bool:
    """Whether batch, rows or columns are the example's."""
    return any(n is not None for shape in _shapes(program).values() for n in (*shape[:1], *shape[2:]))


def _with_inputs(forward: Any, names: list[str]) -> Any:
    """A forward with these inputs alone, whatever optional and starred ones it has."""
    given = ", ".join(names)
    return eval(f"lambda {given}: _forward({given})", {"_forward": forward})  # torch.export reads its code and names


def shape_conditions(subject: Subject, program: ExportedProgram) -> tuple[str, ...]:
    """What must hold of the inputs' shapes for the network to take the path that was followed, as Python.

    Such as "x.shape[2] % 8 == 0". Empty where it takes that path whatever the shapes. torch.export keeps an axis of
    size 1 apart from others; where that makes no difference to what the network gives it is no condition.
    """
    guards = (g for g in _guards(program) if not OF_ONES.search(g) or _restricts(subject, program, g))
    pinned = (
        f"{name}.shape[{axis}] == {size}"
        for name, shape in _shapes(program).items()
        for axis, size in enumerate(shape)
        if size is not None
    )
    return tuple(dict.fromkeys((*guards, *pinned)))


def is_taken(program: ExportedProgram, inputs: Sequence[Tensor]) -> bool:
    """Whether inputs have the sizes that are fixed in a program."""
    shapes = zip(_shapes(program).values(), inputs, strict=True)
    sizes = ((size, n) for shape, t in shapes for size, n in zip(shape, t.shape, strict=True))
    return all(size in (None, n) for size, n in sizes)


def _guards(program: ExportedProgram) -> list[str]:
    guards = " and ".join(program._guards_code)
    for i, name in enumerate(_shapes(program)):
        said = rf"L\['{name}'\]\.size\(\)|L\['flat_args'\]\[{i}\]\.size\(\)"
        guards = re.sub(said, f"{name}.shape", guards)
    return guards.split(" and ") if guards else []


def is_restricted(subject: Subject, program: ExportedProgram) -> bool:
    """Whether the program gives something else than the network for sizes that are free in it."""
    return any(_restricts(subject, program, guard) for guard in _guards(program))


def _restricts(subject: Subject, program: ExportedProgram, guard: str) -> bool:
    """Whether a condition must hold: it is broken on purpose, by the numbers that it names and those beside them."""
    module = program.module(check_guards=False)
    broken = (shapes for shapes in _other_shapes(subject, program) if not _holds(guard, shapes))
    return any(_differs(subject, module, list(shapes.values())) for shapes in islice(broken, TRIES))


def _other_shapes(subject: Subject, program: ExportedProgram) -> Iterator[dict[str, list[int]]]:
    """Of the inputs, by name, with other sizes where they are free; small ones first."""
    named = {int(n) for guard in _guards(program) for n in re.findall(r"(?<!\[)\b\d+\b", guard)}
    sizes = sorted(n for n in {*COMMON, *(n + more for n in named for more in (-1, 0, 1))} if 0 < n <= LARGEST)
    free = _shapes(program)
    for axes in ((0,), (1,), (2,), (3,), (2, 3)):
        for new in product(sizes, repeat=len(axes)):
            shapes = {name: list(t.shape) for name, t in zip(free, subject.inputs, strict=True)}
            for (name, shape), (axis, n) in product(shapes.items(), zip(axes, new, strict=True)):
                if axis < len(shape) and free[name][axis] is None:
                    shape[axis] = n
            yield shapes


def _holds(guard: str, shapes: Mapping[str, Sequence[int]]) -> bool:
    """A condition that torch.export made, for inputs of these shapes."""
    try:
        given = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
        return bool(eval(guard, {"math": math, "torch": torch}, given))
    except ArithmeticError:
        return False


def _differs(subject: Subject, module: nn.Module, shapes: Sequence[Sequence[int]]) -> bool:
    """Whether the network runs on inputs of these shapes and gives something else than the module."""
    inputs = tuple(fitted(t, shape) for t, shape in zip(subject.inputs, shapes, strict=True))
    with _quiet():
        try:
            wanted = run(subject.copy(), inputs)
        except Exception:  # by the network's own code
            return False
        try:
            return not is_same(run(module, inputs), wanted)
        except Exception:  # what the network's other way spares it
            return True
