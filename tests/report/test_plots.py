"""Charts of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from natrl.bench import Row
from natrl.report.bench_plot import bench_figure
from natrl.report.candidate_plot import candidates_figure
from natrl.report.network_plot import layers_figure
from natrl.report.plots import comparison_figure, learning_figure
from tests.report.examples import progress, small_candidates, small_results

COST, LESS = {"params": 10, "madds": 5_000_000}, {"params": 5, "madds": 2_000_000}
LAYERS = [{"name": "conv", "before": "conv_3x3", "after": "conv_1x1", "cost": COST, "new_cost": LESS}]
LABEL = {"method": "random", "rule": "nat++", "reward": "tiny", "dataset": "tiny", "seed": 0}
FIGURES = {"held_out": 4, "queries": 0, "queries_best": 0, "capture_argmax": 0.5, "capture_best": 0.5, "worse_share": 0}
ROW = Row(**LABEL, **FIGURES, worse_share_best=0, madds_ratio=1, params_ratio=1, seconds=0)


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (lambda: comparison_figure(small_results()), ["Pareto front", "original", "transformed", "random, same cost"]),
        (lambda: candidates_figure(small_candidates()), ["random candidates", "the policy's candidates", "original"]),
        (lambda: layers_figure(LAYERS), ["before", "after"]),
        (lambda: learning_figure(progress()), ["transformed", "initial", "null", "skip"]),
        (lambda: bench_figure([ROW.to_dict()], []), ["random (0.500)"]),
    ],
    ids=["comparison", "candidates", "layers", "learning", "bench"],
)
def test_a_legend_hides_nothing(make: Callable[[], Figure], texts: list[str]):
    figure = make()
    figure.draw_without_rendering()
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    for legend in legends:
        place = legend.get_window_extent()
        for axes in figure.axes:
            assert not place.overlaps(axes.get_window_extent())
            for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
                assert not text.get_text() or not place.overlaps(text.get_window_extent())
    shown = [text.get_text() for legend in legends for text in legend.get_texts()]
    assert set(texts) <= set(shown)
