"""NAS-Bench-301: YAHPO Gym's published surrogate of trainings on the DARTS space, CIFAR-10, as an evaluator.

Its figures are predictions of a fitted network, of no training: whoever shows them says so. N architectures.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from natrl.checks.errors import said
from natrl.core.architecture import Architecture
from natrl.digests import digest
from natrl.evaluation.base import Evaluator
from natrl.spaces import Batch, Space

__all__ = ["PredictedEvaluator", "SurrogateFile"]

NODES = (2, 3, 4, 5)
FIRST_EDGE = dict(zip(NODES, (0, 2, 5, 9), strict=True))  # number of the edge from input node 0
EDGES = 14  # of a cell
#: The integer of each operation; 0 is an edge that is not there.
OPERATIONS = {
    name: i
    for i, name in enumerate(
        (
            "avg_pool_3x3",
            "dil_conv_3x3",
            "dil_conv_5x5",
            "max_pool_3x3",
            "sep_conv_3x3",
            "sep_conv_5x5",
            "skip_connect",
        ),
        start=1,
    )
}
#: The integer of each pair of inputs of a node, in this order from 1.
PAIRS: dict[int, dict[tuple[int, ...], int]] = {
    node: {pair: i for i, pair in enumerate(combinations(range(node), 2), start=1)} for node in NODES[1:]
}
SIZES = (8,) * 2 * EDGES + (4, 7, 11) * 2  # categories of each of the 34 integers
ORIGIN = "it is nb301/model.onnx of https://github.com/slds-lmu/yahpo_data, under the name that is given here"
EPOCH = 98.0  # the last one
CHUNK = 4096  # architectures whose hidden units are held at once


class SurrogateFile:
    """The published ONNX file (nb301/model.onnx of YAHPO Gym's data), computed by numpy from its weights.

    ValueError in one line if it cannot be read, is of another layout, or is `model_v2.onnx`, which agrees poorly with
    trained networks (Spearman 0.40 with 214 of them, this one 0.52).
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.name == "model_v2.onnx":
            raise ValueError(f"{path}: model_v2.onnx agrees poorly with trained networks; take nb301/model.onnx")
        self._weights, self._constants = _read(self.path)
        if not self._is_published():
            raise ValueError(f"{path} is not NAS-Bench-301's surrogate as YAHPO Gym published it first")

    def _is_published(self) -> bool:
        """Whether its arrays have the names and shapes that are computed with."""
        weights = {name.removesuffix(".weight"): array.shape for name, array in self._weights.items()}
        embeddings = [weights.get(f"embds_fct.{i}", ()) for i in range(len(SIZES))]
        if any(len(shape) != 2 for shape in embeddings) or tuple(rows for rows, _ in embeddings) != SIZES:
            return False
        width = sum(columns for _, columns in embeddings) + 1
        shapes = {"deep.0.1": (512, width), "deep.2.0": (2, 512), "deeper.4.0": (2, 128), "wide.0": (2, width)}
        constants = {name: self._constants[name].shape for name in ("160", "195") if name in self._constants}
        return shapes.items() <= weights.items() and constants == {"160": (), "195": ()}

    def accuracies(self, batch: Batch) -> np.ndarray:
        """float64 (N,) in [0, 1]: predicted validation accuracies after 98 epochs."""
        codes = _codes(batch)
        parts = [self._forward(codes[i : i + CHUNK]) for i in range(0, len(codes), CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _forward(self, codes: np.ndarray) -> np.ndarray:
        columns = [self._weights[f"embds_fct.{i}.weight"][codes[:, i]] for i in range(len(SIZES))]
        epoch = np.full((len(codes), 1), EPOCH * self._constants["160"], dtype=np.float32)
        x = np.concatenate([*columns, epoch], axis=1)
        total = self._layer("wide.0", x)
        for branch, depth in (("deep", 2), ("deeper", 4)):
            hidden = x
            for i in range(depth):
                hidden = _selu(self._layer(f"{branch}.{i}.1", hidden))
            total = total + self._layer(f"{branch}.{depth}.0", hidden)
        percent = 1 / (1 + np.exp(-total[:, 0].astype(np.float64))) / self._constants["195"]
        return percent / 100

    def _layer(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    @cached_property
    def digest(self) -> str:
        """Of the weights."""
        return digest({name: array.tobytes() for name, array in sorted(self._weights.items())})


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights and constants by name."""
    try:
        import onnx
    except ImportError:
        raise ValueError("NAS-Bench-301's file needs the package onnx: pip install onnx") from None
    try:
        graph = onnx.load(str(path)).graph
        weights = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        nodes = [node for node in graph.node if node.op_type == "Constant"]
        constants = {node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t) for node in nodes}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}; {ORIGIN}") from None
    except Exception as error:  # protobuf's, of many kinds
        raise ValueError(f"{path} cannot be read as an ONNX file: {said(error)}") from None
    return weights, constants


def _selu(x: np.ndarray) -> np.ndarray:
    """Of Klambauer et al. 2017 (arXiv 1706.02515), float32."""
    scale, alpha = np.float32(1.0507009873554805), np.float32(1.6732632423543772)
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _codes(batch: Batch) -> np.ndarray:
    """int64 (N, 34): edges of the normal and of the reduce cell, then input pairs of nodes 3, 4, 5 of each."""
    distinct, row = batch.topologies.distinct
    described = [_topology(cells) for cells in distinct]
    edges = np.array([edges for edges, _ in described])[row]  # (N or 1, E)
    pairs = np.array([pairs for _, pairs in described])[row]  # (N or 1, 6)
    operations = np.array([OPERATIONS[p] for p in batch.space.primitives])[batch.choices]  # (N, E)
    codes = np.zeros((len(batch), len(SIZES)), dtype=np.int64)
    codes[np.arange(len(batch))[:, None], np.broadcast_to(edges, operations.shape)] = operations
    codes[:, 2 * EDGES :] = pairs
    return codes


def _topology(cells: tuple[Any, ...]) -> tuple[list[int], list[int]]:
    """Column of each slot, and the integers of the six pairs. ValueError if a node has not two different inputs."""
    columns, pairs = [], []
    for c, cell in enumerate(cells):
        inputs: dict[int, list[int]] = {}
        for source, target in cell.edges:
            inputs.setdefault(target, []).append(source)
            columns.append(EDGES * c + FIRST_EDGE[target] + source)
        try:
            pairs += [PAIRS[node][tuple(sorted(inputs[node]))] for node in NODES[1:]]
        except KeyError:
            raise ValueError("NAS-Bench-301 has cells whose nodes have two different inputs each") from None
    return columns, pairs


class PredictedEvaluator(Evaluator):
    """The file's accuracies; with `noise`, in points, each has an error that stays the same, as one training has.

    ValueError where the space has operations that the file does not know: darts301 has none.
    """

    def __init__(self, file: SurrogateFile, space: Space, noise: float = 0.0, seed: int = 0) -> None:
        unknown = [p for p in space.primitives if p not in OPERATIONS]
        if unknown:
            raise ValueError(
                f"NAS-Bench-301 knows no {unknown[0]}, which space {space.name!r} has: its space is 'darts301'"
            )
        self._file, self._space, self._noise, self._seed = file, space, noise, seed

    def settings(self) -> dict[str, Any]:
        return {"kind": "nasbench301", "content": self._file.digest, "noise": self._noise, "seed": self._seed}

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,) in [0, 1]."""
        scores = self._file.accuracies(Batch.of(self._space, architectures))
        if self._noise:
            scores = scores + self._noise / 100 * np.array([self._error(a) for a in architectures])
        return scores.clip(0.0, 1.0)

    def _error(self, architecture: Architecture) -> float:
        return np.random.default_rng([self._seed, zlib.crc32(architecture.key.encode())]).standard_normal()
