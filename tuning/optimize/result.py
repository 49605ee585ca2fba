"""What came of `natrl.optimize`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from torch import nn

from natrl import formats
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost
from natrl.files.writing import write_atomically, write_json
from natrl.modules.saved import save_module
from natrl.modules.space import ModuleSlot, ModuleSpace
from natrl.timing.latency import Latency

__all__ = ["Accuracies", "Figures", "LayerChange", "Optimized", "layer_changes"]


@dataclass(frozen=True)
class Figures:
    """What a network costs and reaches."""

    cost: Cost
    validation_accuracy: float  # of the whole split, in [0, 1]; or another score
    test_accuracy: float | None  # in [0, 1], or another score; None: a score of the user's knows no test data
    latency: tuple[Latency, ...]  # at batch 1 and at a throughput batch


@dataclass(frozen=True)
class Accuracies:
    """Of the whole splits, in [0, 1]; or another score."""

    validation: float
    test: float | None


@dataclass(frozen=True)
class LayerChange:
    """A layer before and after."""

    name: str  # in the model
    before: str  # operation
    after: str
    cost: Cost  # of the whole layer, all calls
    new_cost: Cost

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class Optimized:
    """A network, and what it was made from."""

    model: nn.Module  # of the user's own class, fine-tuned, in evaluation mode on the CPU
    architecture: Architecture
    space: ModuleSpace
    before: Figures
    recalibrated: Accuracies  # of the original with new batch-norm statistics, as candidates have them
    after: Figures
    layers: tuple[LayerChange, ...]  # every slot
    candidates: int  # transformations that the last choice was made from
    directory: Path  # Tune's files, the policy, model.safetensors, model.py, report.json
    code: str | None  # the network as source code that needs torch alone (natrl.export.module_code)
    no_code: str | None  # why there is none
    measured: str  # accuracy, or the name of the user's score
    images: str  # how many each split has, where they come from, how they were prepared (ImageData.describe)
    splits: Mapping[str, np.ndarray]  # which ones were taken for validation and test (ImageData.indices)
    tuned_original: Accuracies | None = None  # of the original, fine-tuned alike; None: it was not
    tuned_original_model: nn.Module | None = None  # … in evaluation mode on the CPU
    verdicts: tuple[str, ...] = ()  # whether limits are kept, and by how much; and whether fewer MAdds are slower

    def table(self) -> Table:
        """Layer by layer, before ⇒ after, and the whole network below."""
        table = Table("layer", "before ⇒ after", title=f"{self.space.name}: layer by layer")
        for heading in ("parameters", "MAdds"):
            table.add_column(heading, justify="right")
        for layer in self.layers:
            table.add_row(
                layer.name,
                formats.change(layer.before, layer.after, arrow="⇒"),
                _arrow(layer.cost.params, layer.new_cost.params),
                _arrow(layer.cost.madds, layer.new_cost.madds),
                style="" if layer.changed else "dim",
            )
        table.add_section()
        before, after = self.before.cost, self.after.cost
        counts = (_arrow(before.params, after.params), _arrow(before.madds, after.madds))
        table.add_row("the whole network", "", *counts, style="bold")
        return table

    def summary(self) -> str:
        """Accuracies, costs and latencies in a few lines."""
        b, a = self.before, self.after
        madds, params = a.cost.madds / b.cost.madds, a.cost.params / b.cost.params
        c, t = self.recalibrated, self.tuned_original
        tests, validations = [b.test_accuracy, a.test_accuracy], [b.validation_accuracy, a.validation_accuracy]
        figures = _both_splits(self.measured, tests, validations)
        lines = [
            f"{self.measured}: {figures}",
            f"the original with new batch-norm statistics, as candidates have them: {self._splits(c)}",
            *([] if t is None else [f"the original, fine-tuned alike: {self._splits(t)}"]),
            f"cost: {madds:.1%} of the MAdds, {params:.1%} of the parameters",
        ]
        lines += [f"latency: {old} ⇒ {new}" for old, new in zip(b.latency, a.latency, strict=True)]
        lines += self.verdicts
        lines += [f"no model.py: {self.no_code}"] if self.no_code else []
        return "\n".join(lines)

    def _splits(self, found: Accuracies) -> str:
        return _both_splits(self.measured, [found.test], [found.validation])

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document."""
        return {
            "model": self.space.name,
            "measured": self.measured,
            "images": self.images,
            "architecture": self.architecture.to_dict(),
            "before": asdict(self.before),
            "recalibrated": asdict(self.recalibrated),
            "tuned_original": None if self.tuned_original is None else asdict(self.tuned_original),
            "after": asdict(self.after),
            "layers": [asdict(layer) for layer in self.layers],
            "frozen": self.space.frozen,
            "candidates": self.candidates,
            "no_code": self.no_code,
            "verdicts": list(self.verdicts),
        }

    def save(self) -> Path:
        """Writes model.safetensors with its architecture, model.py, splits.json and report.json; returns where."""
        save_module(self.directory, self.space, self.architecture, self.model)
        if self.splits:
            splits = {name: indices.tolist() for name, indices in self.splits.items()}
            write_atomically(self.directory / "splits.json", json.dumps(splits) + "\n")
        if self.code:
            write_atomically(self.directory / "model.py", self.code)
        write_json(self.directory / "report.json", self.to_dict())
        return self.directory


def layer_changes(space: ModuleSpace, architecture: Architecture) -> tuple[LayerChange, ...]:
    """Every slot of the network, in order; what gets narrower says how many of its channels it reads and gives."""
    now, ends = space.operations(space.prune(architecture)), space.ends(architecture)

    def label(s: ModuleSlot) -> str:
        what = s.layer if now[s.name] == s.operation else now[s.name]
        if s.name not in ends:
            return what
        channels = zip(("inputs", "outputs"), (s.in_channels, s.out_channels), ends[s.name], strict=True)
        return ", ".join([what, *(f"{end} {n} → {len(kept)}" for end, n, kept in channels if kept is not None)])

    return tuple(
        LayerChange(
            s.name,
            s.layer,
            label(s),
            s.cost,
            space.layer_cost(s.name, architecture),
        )
        for s in space.slots
    )


def _both_splits(measured: str, tests: Sequence[float | None], validations: Sequence[float]) -> str:
    """One figure, or before ⇒ after: accuracies in %, others in their own unit."""
    show: Callable[[float], str] = "{:.2%}".format if measured == "accuracy" else formats.score
    tested, validated = (" ⇒ ".join(show(f) for f in figures if f is not None) for figures in (tests, validations))
    return f"test {tested}, validation {validated}" if tested else validated


def _arrow(before: int, after: int) -> str:
    texts: Sequence[str] = [formats.count(before), formats.count(after)]
    return texts[0] if before == after else " ⇒ ".join(texts)
