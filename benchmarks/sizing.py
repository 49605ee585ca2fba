"""What one evaluation costs, by kind: the first column of docs/cluster.md's sizing table.

Random architectures of the darts space on digits, on the demo's skeleton (8 channels, 3 cells), one thread. On a CPU
the seconds are those of this process (other work on the machine hardly counts), on a CUDA device those of the clock.
`madds_per_s` counts three passes (forward, and backward as two) of every training image, one of every validation image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from _options import number, Parser, run
from _rows import print_row

import natrl
from natrl import Architecture, network_cost, Skeleton
from natrl import space as find_space
from natrl.checks.fields import Count
from natrl.data import ImageData, load_data
from natrl.evaluation import Evaluator
from natrl.evaluation.scratch import ScratchEvaluator
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.training.schedule import schedule


def seconds(run: Callable[[], object]) -> float:
    """Of this process on a CPU, of the clock on a CUDA device."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def measure(kind: str, evaluator: Evaluator, architectures: Sequence[Architecture], madds: float) -> None:
    """One row: seconds an evaluation, evaluations an hour on one core or device, MAdds a second."""
    evaluator.evaluate(architectures[:1])  # burn in
    each = seconds(lambda: evaluator.evaluate(architectures)) / len(architectures)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "one core"
    print_row("sizing", kind=kind, device=device, seconds=each, per_hour=3600 / each, madds_per_s=madds / each)


def passes(data: ImageData, epochs: int) -> tuple[int, int]:
    """Forward passes of one image that an evaluation by training, and one in the supernet, is worth."""
    training, validation = len(data.train), len(data.validation)
    return 3 * epochs * training + validation, validation


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--architectures", type=number(Count), default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data("digits", seed=0)
    skeleton = replace(Skeleton(), channels=8, cells=3).fitted(data)
    rng = np.random.default_rng(0)
    sampled = [find_space("darts").sample(rng) for _ in range(arguments.architectures)]
    madds = float(np.mean([network_cost(a, skeleton).madds for a in sampled]))
    by_training, in_supernet = passes(data, schedule("quick").epochs)
    measure("scratch", ScratchEvaluator(skeleton, data, "quick"), sampled, madds * by_training)
    supernet = SupernetEvaluator(natrl.space("darts").on(skeleton), data)
    measure("supernet", supernet, sampled, madds * in_supernet)


if __name__ == "__main__":
    run(main)
