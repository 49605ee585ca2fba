"""The onnx package's own evaluator, right in two operators that it has wrong: files are checked with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["evaluator"]


def evaluator(path: Path) -> Any:
    """An onnx.reference.ReferenceEvaluator of a file.

    The package's MaxPool leaves out padding where strides are 1 and the axes are not two, and its Pad cannot crop
    (so in onnx 1.17 and 1.23; onnxruntime gives what is given here).
    """
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.ops.op_max_pool import MaxPool as PublishedMaxPool
    from onnx.reference.ops.op_pad import Pad_18

    class MaxPool(PublishedMaxPool):
        def _run(self, x: np.ndarray, **attributes: Any) -> tuple[np.ndarray, ...]:
            found: tuple[np.ndarray, ...] = self._max_pool(x, **attributes)
            return found

    class Pad(Pad_18):
        def _run(
            self, data: np.ndarray, pads: np.ndarray, constant_value: Any = None, axes: Any = None, mode: Any = None
        ) -> tuple[np.ndarray, ...]:
            inside = [slice(None)] * data.ndim
            before, after = np.minimum(pads, 0).reshape(2, -1)
            for axis, first, last in zip(range(data.ndim) if axes is None else axes, before, after, strict=True):
                inside[axis] = slice(-first, last or None)
            found: tuple[np.ndarray, ...] = super()._run(
                data[tuple(inside)], np.maximum(pads, 0), constant_value, axes, mode
            )
            return found

    return ReferenceEvaluator(str(path), new_ops=[MaxPool, Pad])
