"""Any torch module as an ONNX file."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import torch
from torch import nn, Tensor

from natrl.files import replacing

__all__ = ["check_onnx", "export_onnx"]


def check_onnx() -> None:
    """ValueError in one line if the packages that write ONNX are not installed."""
    missing = []
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise ValueError(f"ONNX needs {' and '.join(missing)}: pip install 'natrl[export]'")


def export_onnx(model: nn.Module, example: Tensor | tuple[Tensor, ...], path: Path | str) -> Path:
    """Writes the module, as it is in evaluation, whole or not at all; returns the path.

    `example`: its input or inputs (B, …), B at least 2. The file takes any batch size, and is called with the inputs in
    their order. The weights are in the file itself. ValueError if ONNX is not installed, or the module cannot be
    traced.
    """
    check_onnx()
    path = Path(path)
    inputs = example if isinstance(example, tuple) else (example,)
    batch = torch.export.Dim("batch")
    was_training = model.training
    try:
        with replacing(path) as fresh, torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # of two inputs with one batch size
            program = torch.onnx.export(
                model.eval(),
                inputs,
                dynamo=True,
                verbose=False,
                dynamic_shapes=({0: batch},) * len(inputs),
                external_data=False,
            )
            assert program is not None  # only the older exporter returns none
            program.save(fresh, external_data=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"the network cannot be written as ONNX: {str(error).splitlines()[0]}") from None
    finally:
        model.train(was_training)
    return path
