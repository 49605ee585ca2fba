"""Any torch module as an ONNX file."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves

from natrl.checks.arguments import checked
from natrl.checks.errors import summary
from natrl.export.evaluator import evaluator
from natrl.export.program import export_program, is_restricted, is_taken
from natrl.export.subject import Subject
from natrl.files.writing import replacing

__all__ = ["check_onnx", "export_onnx"]

CLOSE = 1e-3  # relative to the largest output


def check_onnx() -> None:
    """ValueError in one line if the packages that write ONNX are not installed."""
    missing = []
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise ValueError(f"ONNX needs {' and '.join(missing)}: pip install {' '.join(missing)}")


@checked
def export_onnx(model: nn.Module, example: Tensor | tuple[Tensor, ...], path: Path | str) -> Path:
    """Writes the module, as it is in evaluation, whole or not at all; returns the path.

    `example`: its input or inputs (B, …). The file takes every batch and size that the network takes, and is called
    with the inputs in their order; where the network's path depends on sizes, those of the example are fixed in the
    file, so that others are refused. The weights are in the file itself, which the onnx package has run on one image
    and on two of another, odd size where the network takes these. ValueError if ONNX is not
    installed, or the module cannot be written.
    """
    check_onnx()
    path, subject = Path(path), Subject.of(model, example)
    for axes in (None, 1, 0):  # all sizes are free, the batch is, none is
        try:
            program = export_program(subject, axes=axes)
            if axes == 0 or not is_restricted(subject, program):
                with replacing(path) as fresh:
                    _write(program, fresh)
                    _check(fresh, subject, program)
                return path
        except ValueError as error:
            reason = str(error)
    raise ValueError(f"the network cannot be written as ONNX: {reason}")


def _write(exported: ExportedProgram, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # of two inputs with one batch size
            program = torch.onnx.export(exported, dynamo=True, verbose=False, external_data=False)
    except Exception as error:  # by what the exporter calls, of onnx and onnxscript
        raise ValueError(summary(error.__cause__ or error)) from None
    assert program is not None  # only the older exporter returns none
    for value in (*program.model.graph.inputs, *program.model.graph.outputs):
        shape: Any = value.shape or ()
        for axis, size in enumerate(shape):
            if str(size).isdigit():  # found out to be this number
                shape[axis] = int(str(size))
    program.save(path, external_data=False)


def _check(path: Path, subject: Subject, program: ExportedProgram) -> None:
    """ValueError unless the file gives what the network gives."""
    if any(t.dtype is torch.bfloat16 for t in subject.inputs):
        return  # numpy has no such type
    file = evaluator(path)
    for sizes in (subject.smaller(1), subject.smaller(2, odd=True)):
        inputs, wanted = next(found for found in sizes if is_taken(program, found[0]))
        _check_on(file, inputs, wanted)


def _check_on(file: Any, inputs: tuple[Tensor, ...], wanted: Any) -> None:
    """ValueError unless an evaluator of the file gives for the inputs what the network gives."""
    try:
        given = file.run(None, dict(zip(file.input_names, (t.numpy() for t in inputs), strict=True)))
    except Exception as error:
        raise ValueError(f"the file does not run: {summary(error)}") from None
    tensors = [t.numpy() for t in tree_leaves(wanted) if isinstance(t, Tensor)]
    if not all(map(_is_close, given, tensors)):
        shapes = ", ".join(str(tuple(t.shape)) for t in inputs)
        raise ValueError(f"the file does not give what the network gives for inputs of shape {shapes}")


def _is_close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=CLOSE * np.abs(b).max(initial=1e-6), equal_nan=True)
