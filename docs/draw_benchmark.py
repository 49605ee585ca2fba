"""The picture of docs/benchmark.md: python docs/draw_benchmark.py (a quarter of an hour on two busy cores).

Each method gets the evaluations that it can make use of; the axis says how many different architectures it asked for,
in all, for the fifth of NAS-Bench-201 that is held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from natrl.bench import Bench, Plan
from natrl.bench.trained import published_tables
from natrl.drawing.architectures import save_figure
from natrl.report.bench_plot import bench_figure
from natrl.tuning.session import ray_session

IMAGE = Path(__file__).parent / "images" / "benchmark.png"
#: Methods, and what they may ask for: those that search work on each of some 3,125 held-out architectures by itself.
BUDGETS: tuple[tuple[tuple[str, ...], int | None], ...] = (
    (("surrogate",), 1000),
    (("ppo-autoregressive", "random-matched", "ceiling"), None),
    (("local-search",), 100_000),
    (("evolution",), 100_000),
    (("random-search",), 100_000),
)


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--image", type=Path, default=IMAGE)
    given = options.parse_args(argv)
    rows, points = [], []
    with ray_session():
        for methods, queries in BUDGETS:
            bench = Bench(Plan(published_tables(["cifar10"]), methods, queries, seeds=given.seeds))
            for job in bench.plan.jobs():
                new_rows, new_points = bench.run(job)
                rows += [row.to_dict() for row in new_rows]
                points += [asdict(point) for point in new_points]
                print(job, *(f"{row.capture_argmax:.3f}" for row in new_rows), flush=True)
    save_figure(bench_figure(rows, points), given.image, "png")


if __name__ == "__main__":
    main()
