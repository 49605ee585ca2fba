"""Figures of the tables against ones worked out by hand."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from natrl import network_cost, Skeleton, zoo
from natrl.drawing.frames import change_frame, slot_frame
from natrl.report.frames import comparison_frame, pareto_front, summary_frame
from natrl.report.tables import change_table, comparison, comparison_table, slot_table, summary_line
from tests.report.examples import changed, SKELETON, small_results


def printed(renderable: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def row_of(text: str, *words: str) -> str:
    (row,) = [line for line in text.splitlines() if all(word in line for word in words)]
    return " ".join(row.split())


def test_comparison_by_hand():
    frame = comparison_frame(small_results()).set_index(["name", "variant"])
    original, transformed = frame.loc["VGG", "original"], frame.loc["VGG", "transformed"]
    assert original.accuracy == pytest.approx(0.82)
    assert original.spread == pytest.approx(0.04 / math.sqrt(2))  # two values 0.04 apart
    assert transformed.spread == pytest.approx(0.0)
    assert transformed.difference == pytest.approx(0.03)
    assert transformed.noise == pytest.approx(0.02)  # √(0.0008/2 + 0/2)
    assert frame.loc["VGG", "random"].difference == pytest.approx(-0.04)
    assert frame.loc["VGG", "random"].noise == pytest.approx(math.sqrt(0.0008))
    # conv_3x3 → sep_conv_3x3 at C = 8 on 8×8 in one normal cell: 9·64·64 − 2·(72 + 64)·64 = 19,456 MAdds less.
    assert original.madds - transformed.madds == 19_456
    assert transformed.madds_ratio == pytest.approx(1 - 19_456 / original.madds)
    assert math.isnan(original.difference)
    assert math.isnan(original.madds_ratio)


def test_summary_by_hand():
    summary = summary_frame(small_results())
    assert list(summary.index) == ["transformed", "random", "gain"]
    assert summary.loc["transformed", "difference"] == pytest.approx((0.03 + 0.01) / 2)
    assert summary.loc["transformed", "error"] == pytest.approx(0.01)  # two values 0.02 apart: 0.02/√2/√2
    assert summary.loc["random", "difference"] == pytest.approx((-0.04 + 0.0) / 2)
    assert summary.loc["gain", "difference"] == pytest.approx((0.07 + 0.01) / 2)
    assert summary.loc["gain", "error"] == pytest.approx(0.03)
    assert list(summary["n"]) == [2, 2, 2]
    vgg, darts = (row.madds for row in small_results().rows if row.variant == "original")
    ratios = [1 - 19_456 / vgg, 1 - 17_408 / darts]  # DARTS: one sep_conv_3x3 → skip, one pooling exchanged
    assert summary.loc["transformed", "madds_ratio"] == pytest.approx(sum(ratios) / 2)


def test_summary_line():
    line = summary_line(small_results())
    assert "mean of 2 architectures ± standard error, 2 seeds each" in line
    assert "transformed 0.93 × MAdds, +2.00 ± 1.00 points" in line
    assert "transformed against random +4.00 ± 3.00 points" in line


def test_one_seed_and_one_architecture_have_no_spread():
    results = small_results()
    rows = tuple(replace(row, validation=(0.5,), test=row.test[:1]) for row in results.rows[:2])
    single = replace(results, rows=rows, seeds=(0,))
    assert comparison_frame(single)[["spread", "noise"]].isna().all(axis=None)
    assert "transformed 0.94 × MAdds, +5.00 points." in summary_line(single)
    assert "80.00 " in printed(comparison_table(single))


def test_without_originals_there_is_nothing_to_compare():
    results = replace(small_results(), rows=small_results().rows[1:3])
    assert summary_frame(results).empty
    assert summary_line(results) == "2 architectures trained on digits, 2 seeds each."
    assert "VGG (transformed)" in printed(comparison_table(results), 120)


def test_comparison_as_printed_in_80_columns():
    text = printed(comparison(small_results()))
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    vgg = next(i for i, line in enumerate(lines) if line.strip().startswith("VGG"))
    assert "82.00 ± 2.83" in lines[vgg]
    assert "0.94 × 85.00 ± 0.00 +3.00 ± 2.00" in " ".join(lines[vgg + 1].split())
    assert "−4.00 ± 2.83" in lines[vgg + 2]
    assert row_of(text, "VGG", "normal 2→3", "conv_3x3 → sep_conv_3x3").endswith("−6.2 %")
    assert row_of(text, "reduce 1→2", "max_pool_3x3 → avg_pool_3x3").endswith("±0.0 % ±0.0 %")


def test_an_unchanged_architecture_is_said_to_be_kept():
    results = small_results()
    same = replace(results.rows[1], architecture=results.rows[0].architecture)
    assert "kept as it is" in printed(comparison(replace(results, rows=(results.rows[0], same))))


def test_names_are_no_markup():
    assert "[red]VGG[/red]" in printed(comparison(small_results(name="[red]VGG[/red]")), 120)


@pytest.mark.parametrize("name", ["VGG", "DARTS", "NAONet"])
def test_slots_and_the_rest_add_up_to_the_network(name):
    frame = slot_frame(zoo()[name], Skeleton())
    nothing = changed(zoo()[name], dict.fromkeys(range(len(frame)), "null"))
    rest, whole = network_cost(nothing), network_cost(zoo()[name])
    assert frame["params"].sum() + rest.params == whole.params
    assert frame["madds"].sum() + rest.madds == whole.madds


def test_slot_table():
    text = printed(slot_table(zoo()["VGG"], Skeleton(), title="VGG"))
    assert row_of(text, "the whole network") == "the whole network 3.798 M 548.4 M"
    assert row_of(text, "normal 2→3").startswith("3 normal 2→3 conv_3x3 1.473 M 215.0 M")
    assert sum("normal" in line for line in text.splitlines()) == 8
    dead = printed(slot_table(changed(zoo()["VGG"], {0: "conv_1x1", 3: "null"}), Skeleton()))
    assert "skip_connect (dead)" in row_of(dead, "normal 1→2")


def test_changes_add_up_to_the_difference_of_the_networks():
    before, after = zoo()["VGG"], zoo()["NATv2_VGG"]
    frame = change_frame(before, after, Skeleton())
    assert tuple(frame.index) == before.changes(after)
    assert frame["params"].sum() == 3_797_974 - 2_587_078
    assert frame["madds"].sum() == 548_425_728 - 378_058_752
    assert frame["params_share"].sum() == pytest.approx(1 - 2_587_078 / 3_797_974)
    text = printed(change_table(before, after, Skeleton()))
    assert row_of(text, "8 changed of 16 slots") == "8 changed of 16 slots −1.211 M (−31.9 %) −170.4 M (−31.1 %)"
    assert row_of(text, "normal 3→4").startswith("normal 3→4 conv_3x3 → sep_conv_3x3 −1.113 M (−29.3 %)")
    assert row_of(text, "reduce 0→2").endswith("+26.35 k (+0.7 %) +2.654 M (+0.5 %)")


def test_no_change():
    assert change_frame(zoo()["VGG"], zoo()["VGG"], SKELETON).empty
    assert "0 changed of 16 slots ±0 (±0.0 %)" in " ".join(
        printed(change_table(zoo()["VGG"], zoo()["VGG"], SKELETON)).split()
    )


def test_pareto_front_by_hand():
    frame = comparison_frame(small_results()).assign(madds=[5, 3, 3, 1, 4, 2], accuracy=[0.9, 0.7, 0.8, 0.5, 0.8, 0.4])
    assert list(pareto_front(frame)["madds"]) == [1, 3, 5]
    assert list(pareto_front(frame)["accuracy"]) == [0.5, 0.8, 0.9]
    nats = frame.assign(accuracy=frame["accuracy"] - 3.0)  # minus cross-entropies are scores, too
    assert list(pareto_front(nats)["madds"]) == [1, 3, 5]
