"""What each operation takes in each slot of a network, measured layer by layer; and what a network takes by that.

E slots, K primitives, B architectures, L layers that can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.modules.replace.copies import copied
from natrl.modules.replace.replacements import replacement
from natrl.modules.replace.widths import Ends, ends_of
from natrl.modules.space import ModuleSpace
from natrl.spaces import Batch
from natrl.timing.latency import batch_of, networks_timed
from natrl.timing.narrow import narrow_layers, place_of
from natrl.timing.runtimes import Clock, prepared, Run
from natrl.timing.stopwatch import Patience, times

__all__ = ["Check", "TimeTable", "measure_table"]

LAYERS = Patience(turn=0.003, most=30, seconds=20.0)
NETWORKS = 16  # whole ones, that sums of layers are compared with


class Check(NamedTuple):
    """How well sums predict whole networks that had no part in them."""

    networks: int
    correlation: float  # Spearman's; NaN of fewer than three networks
    error: float  # the median of |predicted / measured − 1|

    def __str__(self) -> str:
        return f"Spearman {self.correlation:.2f}, median error {self.error:.0%} on {self.networks} networks"


@dataclass(frozen=True)
class TimeTable:
    """Seconds of a pass: of the original, measured, and of others by what their layers take more or less."""

    space: ModuleSpace
    #: By slot and operation; and of the layer as it is, by end and width (`natrl.timing.narrow`).
    layers: Mapping[str, Mapping[str, float]]
    left: Mapping[str, float]  # of the layers besides the slots that can be left out
    original: float  # of the whole network
    slope: float  # how much of a layer's seconds alone a whole network gains by them
    check: Check

    def of(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (B,); infinite where a layer is one that was not measured."""
        return self.original + self.slope * self.changes(architectures)

    def changes(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (B,): what layers alone take more than the original's. Fewer channels leave a share of a layer."""
        if not len(architectures):
            return np.zeros(0)
        space, left = self.space, np.array([self.left.get(name, 0.0) for name in self.space.can_be_left_out])
        batch = architectures if isinstance(architectures, Batch) else Batch.of(space, architectures)
        choices = space.pruned(batch).choices
        more = -(space.are_left_out(choices) @ left)
        for index, (seconds, held, shares) in self._by_slot.items():
            taken = seconds[choices[:, index]]
            for width, share in shares.items():
                taken = taken * share[choices[:, width]]
            more += taken - held
        return more

    @cached_property
    def _by_slot(self) -> dict[int, tuple[np.ndarray, float, dict[int, np.ndarray]]]:
        """Of each slot the seconds (K,) of its operations and of the layer as it is, and what widths leave of them.

        By the index of a width: shares (K,) of the layer's time, each end by itself, at most 1.
        """
        primitives, found = self.space.primitives, {}
        for slot in self.space.slots:
            taken = self.layers[slot.name]
            held = taken[slot.operation]
            seconds = np.array([taken.get(op, 0.0 if op == "null" else np.inf) for op in primitives])
            shares: dict[int, np.ndarray] = {}
            for end, width in enumerate(self._ends.get(slot.name, ())):
                if width is not None and held > 0:
                    left = [min(1.0, taken.get(place_of(end, name), held) / held) for name in primitives]
                    shares[width.index] = shares.get(width.index, 1.0) * np.array(left)
            found[slot.index] = seconds, held, shares
        return found

    @cached_property
    def _ends(self) -> Mapping[str, Ends]:
        return ends_of(self.space.widths)


def measure_table(
    space: ModuleSpace,
    mask: np.ndarray,
    *,
    batch: int,
    runtime: str = "eager",
    device: str | None = None,
    patience: Patience = LAYERS,
    networks: int | None = None,
    seed: int = 0,
) -> TimeTable:
    """Times every operation that `mask` bool (E, K) allows in each slot, on the shapes of its layer's calls, and layers
    as they are with fewer channels.

    Layers of one kind and shape are timed once, all in turns. Then random transformations are, whole: what they gain
    as a share of what their layers do is the slope, and each is predicted by that of the others. ValueError in one
    line where the runtime cannot take the network, or one of its layers by itself.
    """
    inputs = batch_of(space.example, batch, runtime, device)
    networks_timed([space.model], inputs, runtime, Patience(turn=0, fewest=1, most=1))  # says why it cannot
    stopwatch = _Layers(runtime, inputs[0].device)
    calls = _calls(space, inputs)
    for slot in space.slots:
        place = space.model.get_submodule(slot.name)
        stopwatch.add((slot.name, slot.operation), place, calls[slot.name], needed=True)
        for k in np.flatnonzero(mask[slot.index]):
            if (op := space.primitives[k]) != slot.operation:
                stopwatch.add((slot.name, op), replacement(place, op), calls[slot.name])
    for narrow in narrow_layers(space):
        if all(given for given, _ in calls[narrow.name]):  # else by keyword: as if it took as long as with all channels
            some = [(narrow.given(given), keywords) for given, keywords in calls[narrow.name]]
            stopwatch.add((narrow.name, narrow.place), narrow.layer, some)
    for name in space.can_be_left_out:
        if name in calls:
            stopwatch.add((name, ""), space.model.get_submodule(name), calls[name], needed=True)
    seconds = stopwatch.measured(patience)
    layers: dict[str, dict[str, float]] = {slot.name: {} for slot in space.slots}
    for (name, op), taken in seconds.items():
        if op:
            layers[name][op] = taken
    left = {name: taken for (name, op), taken in seconds.items() if not op}
    return _compared(
        TimeTable(space, layers, left, 0.0, 1.0, Check(0, np.nan, np.nan)), inputs, runtime, networks or NETWORKS, seed
    )


def _compared(table: TimeTable, inputs: tuple[Tensor, ...], runtime: str, networks: int, seed: int) -> TimeTable:
    """The table with the original's time, a slope and a check, by whole networks."""
    space, rng = table.space, np.random.default_rng(seed)
    drawn = {space.sample(rng): None for _ in range(networks)}
    drawn.pop(space.architecture, None)
    sums = dict(zip(drawn, table.changes([*drawn]).tolist(), strict=True))
    asked = [a for a in drawn if np.isfinite(sums[a])]
    wholes = [space.model, *(space.build(a, verify=False) for a in asked)]
    first, *seconds = networks_timed(wholes, inputs, runtime, Patience()).seconds.tolist()
    gained, by_layers = np.array(seconds) - first, np.array([sums[a] for a in asked])
    others = [np.arange(len(asked)) != i for i in range(len(asked))]
    slopes = np.array([_slope(gained[rows], by_layers[rows]) for rows in others])
    predicted = first + slopes * by_layers
    correlation = float(spearmanr(predicted, seconds).statistic) if len(asked) > 2 else np.nan
    error = float(np.median(np.abs(predicted / seconds - 1))) if asked else np.nan
    check = Check(len(asked), correlation, error)
    return TimeTable(space, table.layers, table.left, first, _slope(gained, by_layers), check)


def _slope(gained: np.ndarray, by_layers: np.ndarray) -> float:
    """Of a line through zero by least squares; 1 where that says nothing."""
    square = float(by_layers @ by_layers)
    slope = float(gained @ by_layers) / square if square else 1.0
    return slope if slope > 0 else 1.0


class _Call(nn.Module):
    """A layer with all that one of its calls was given besides tensors."""

    def __init__(self, layer: nn.Module, keywords: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer, self.keywords = layer, dict(keywords)

    def forward(self, *tensors: Tensor) -> Any:
        return self.layer(*tensors, **self.keywords)


Given = tuple[tuple[Any, ...], dict[str, Any]]


def _calls(space: ModuleSpace, inputs: tuple[Tensor, ...]) -> dict[str, list[Given]]:
    """What the layers of a copy are called with in one pass, by name."""
    model = copied(space.model).to(inputs[0].device).eval()
    found: dict[str, list[Given]] = {}

    def note(name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            found.setdefault(name, []).append((given, keywords))

        return hook

    for name in (*(slot.name for slot in space.slots), *space.can_be_left_out):
        model.get_submodule(name).register_forward_pre_hook(note(name), with_kwargs=True)
    with torch.no_grad():
        model(*inputs)
    return found


class _Layers:
    """Layers that are timed, each kind and shape once, less what a layer that does nothing takes."""

    def __init__(self, runtime: str, device: torch.device) -> None:
        self._runtime, self._device = runtime, device
        self._runs: list[tuple[Run, Clock | None]] = []
        self._known: dict[Any, int] = {}
        self._of: dict[tuple[str, str], list[int]] = {}  # by what was added, the runs whose sum it is
        self._idle = self._number(nn.Identity(), (torch.zeros(1, 1, 1, 1, device=device),), {}, "")

    def add(self, key: tuple[str, str], layer: nn.Module, calls: Sequence[Given], *, needed: bool = False) -> None:
        """ValueError if it cannot be run by itself and is `needed`; others are left out."""
        layer = copied(layer).to(self._device).eval()
        try:
            self._of[key] = [self._number(layer, given, keywords, key[0]) for given, keywords in calls]
        except ValueError as error:
            if needed:
                raise ValueError(f"layer {key[0]!r} cannot be timed by itself: {error}") from None

    def measured(self, patience: Patience) -> dict[tuple[str, str], float]:
        seconds = times(self._runs, str(self._device), patience).seconds
        idle = seconds[self._idle]
        return {key: float(sum(max(seconds[i] - idle, 0.0) for i in runs)) for key, runs in self._of.items()}

    def _number(self, layer: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any], name: str) -> int:
        known = (_kind(layer, name), tuple(_shapes(given)), tuple(keywords))
        if known not in self._known:
            run = prepared(self._runtime, _Call(layer, keywords).eval() if keywords else layer, given)
            self._runs.append(run)
            self._known[known] = len(self._runs) - 1
        return self._known[known]


def _kind(layer: nn.Module, name: str) -> str:
    """What is timed once: layers of torch's own that say the same of themselves."""
    ours = all(type(part).__module__.startswith(("torch.", "natrl.")) for part in layer.modules())
    return repr(layer) if ours else f"{name}: {layer!r}"


def _shapes(given: tuple[Any, ...]) -> Iterator[Any]:
    for value in given:
        yield (tuple(value.shape), value.dtype, value.stride()) if isinstance(value, Tensor) else repr(value)
