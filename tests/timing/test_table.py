"""Tables of times, by a runtime that counts: a layer takes as many seconds as it has weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn, Tensor

from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.search import Reachable
from natrl.search.combinations import best_combinations
from natrl.search.program import Further
from natrl.search.replacements import Replacements
from natrl.timing.files import conditions, read_tables, write_tables
from natrl.timing.stopwatch import Times
from natrl.timing.table import measure_table, TimeTable
from tests.modules.trained import trained

RUNTIME = f"{__name__}:weights"


def weights(network: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    return 1e-6 + sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def table() -> TimeTable:
    space = from_module(trained(), torch.zeros(2, 1, 8, 8))
    return measure_table(space, space.masks(space.architecture), batch=1, runtime=RUNTIME)


def counted(space: ModuleSpace, n: int) -> tuple[list, np.ndarray]:
    rng = np.random.default_rng(1)
    found = [space.sample(rng) for _ in range(n)]
    return found, np.array([weights(space.build(a), ()) for a in found])


def test_sums_of_layers_are_the_whole(table: TimeTable) -> None:
    architectures, seconds = counted(table.space, 20)
    np.testing.assert_allclose(table.of(architectures), seconds, rtol=1e-4)
    assert table.slope == pytest.approx(1, abs=1e-4)
    assert table.check.correlation > 0.99
    assert table.check.error < 1e-4


def test_layers_with_fewer_channels_take_their_share() -> None:
    """All but the batch-norms between, which are not timed: the last channels have two of them, and two layers."""
    space = from_module(trained(), torch.zeros(2, 1, 8, 8), moves="all")
    table = measure_table(space, space.masks(space.architecture), batch=1, runtime=RUNTIME)
    single = [space.with_operations({w.name: op}) for w in space.widths for op in list(w.sizes)[1:]]
    seconds = [weights(space.build(a), ()) for a in single]
    assert len(single) == 9
    np.testing.assert_allclose(table.of(single), seconds, rtol=0.025)
    assert (np.array(seconds) < 0.99 * table.original).all()
    architectures, seconds = counted(space, 20)
    assert np.corrcoef(table.of(architectures), seconds)[0, 1] > 0.99
    assert table.check.correlation > 0.99


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(input=self.first(input=x).relu())


def test_layers_called_by_keyword_take_as_long_with_fewer_channels() -> None:
    space = from_module(ByKeyword(), torch.randn(2, 6), moves="all")
    table = measure_table(space, space.masks(space.architecture), batch=1, runtime=RUNTIME)
    (width,) = space.widths
    assert table.of([space.with_operations({width.name: "channels_1_2"})]) == pytest.approx([table.original])


def test_best_combinations_keep_to_seconds_exactly(table: TimeTable) -> None:
    """No combination of replacements within the limit has a larger sum, of a thousand drawn at random."""
    rng = np.random.default_rng(0)
    replacements = Replacements(Reachable(table.space, table.space.architecture))
    effects = -rng.random(len(replacements))
    further = Further(lambda batch: table.of(list(batch))[:, None], np.array([0.5 * table.original]))
    found = best_combinations(replacements, effects, n=3, further=further)
    assert len(found) == 3
    assert (table.of([c.architecture for c in found]) <= 0.5 * table.original).all()
    chosen = rng.random((1000, len(replacements))) < 0.1
    chosen &= (chosen @ replacements.changed.astype(int) <= 1).all(1, keepdims=True)
    made, rows = replacements.together(chosen)
    within = table.of(list(made)) <= 0.5 * table.original
    assert within.any()
    assert (chosen[rows[within]] @ effects).max() <= found[0].effect + 1e-9
    nothing = Further(further.costs, np.array([-1.0]))
    assert best_combinations(replacements, effects, further=nothing) == []


def test_a_file_holds_for_one_network_and_runtime(table: TimeTable, tmp_path: Path) -> None:
    space, path = table.space, tmp_path / "times.json"
    of = conditions(space, RUNTIME, "cpu")
    write_tables(path, {1: table}, of)
    (batch, again), *_ = read_tables(path, space, of).items()
    architectures, _ = counted(space, 5)
    assert batch == 1
    assert again.of(architectures).tolist() == table.of(architectures).tolist()
    with pytest.raises(ValueError, match=r"times of another runtime \('.*', here 'eager'\); give another file"):
        read_tables(path, space, conditions(space, "eager", "cpu"))
    with pytest.raises(ValueError, match="times of another network; give another file, or delete"):
        read_tables(path, space, of | {"network": "0"})
    path.write_text(json.dumps({"what": "", "of": of, "tables": [{}]}))
    with pytest.raises(ValueError, match=r"times\.json"):
        read_tables(path, space, of)


def test_intervals_are_of_the_quartile_and_shares_of_turns() -> None:
    turns = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, 8.0]] * 5)
    found = Times(turns)
    low, high = found.interval
    assert (low <= found.seconds).all()
    assert (found.seconds <= high).all()
    assert found.ratios.tolist() == [[1, 2], [1, 2], [1, 2]]
