"""How what a page shows is made smaller, so that it takes seconds: options appended to its commands.

The last value of an option counts. Of the patterns that are found in a command the first one tells.
"""

from __future__ import annotations

import re

__all__ = ["PARSED", "SHARED", "smaller", "smaller_file"]

_TINY_NETWORK = "--channels 4 --cells 1"
_FEW_IMAGES = "--data digits --image-size 8 --train-images 100 --epochs 1"
#: A third of the moves, and one training less.
_SMALLER_SPACE = "--moves types --no-tune-original"
#: A fifth of the pixels, at which the network trained on all of them is near chance.
_SMALL_IMAGES = f"--image-size 28 --expect-accuracy 0 {_SMALLER_SPACE}"
#: (Learning from effects scores some ninety networks beforehand: one block of Python does.)
_SMALLER = (
    (r"^natrl train .*--resume", ""),
    (r"^natrl train .*--config", "--iterations 2"),
    (r"^natrl train .*--reward \w+:", "--iterations 2 --batch-size 16"),
    (r"^natrl train", f"--iterations 2 --batch-size 8 --warmup-steps 4 --weight-steps 1 {_TINY_NETWORK}"),
    (r"^natrl front", ""),
    (r"^natrl evaluate", f"--seeds 1 {_TINY_NETWORK}"),
    (r"^natrl rank .*--proxy surrogate", "-n 16 --queries 12"),
    (r"^natrl rank .*--proxy \w+:", "-n 8"),
    (r"^natrl rank .*--truth scratch", f"-n 5 --steps 4 {_TINY_NETWORK}"),
    (r"^natrl rank", f"-n 8 --steps 4 {_TINY_NETWORK}"),
    (r"^natrl report", "--compare 4"),
    (r"^natrl sweep .*--resume", ""),
    (r"^natrl sweep", "--trials 1"),
    (r"^natrl bench nasbench301", "--seeds 1 --queries 40 --methods random,random-search"),
    (r"^natrl bench", "--seeds 1 --queries 200 --methods ceiling,random,random-search"),
    (r"^natrl transform .*--expect-accuracy", f"-n 1 --epochs 1 --policy out --expect-accuracy 15% {_SMALLER_SPACE}"),
    (r"^natrl transform .*--transform", f"-n 1 --epochs 1 --policy out {_SMALLER_SPACE}"),
    (
        r"^natrl transform .*--(actors|max-lat)",
        f"-n 1 --epochs 1 --policy out --actors 1 --gpus-per-actor 0 {_SMALL_IMAGES}",
    ),
    (r"^natrl transform \S+:\S+ .*--policy", f"-n 1 --epochs 1 --actors 1 --gpus-per-actor 0 {_SMALL_IMAGES}"),
    (
        r"^natrl (transform|optimize) \S+:\S+",
        f"-n 1 --iterations 1 --epochs 1 --actors 1 --gpus-per-actor 0 --learn-from scores {_SMALL_IMAGES}",
    ),
    (r"^python examples/own_network.py", "--epochs 6 --images 600"),
    (r"^python benchmarks/budgets.py", "--seeds 0 --iterations 1 --held-out 2"),
    (
        r"^python benchmarks/transfer.py",
        "--seeds 0 --iterations 1 --held-out 20 --evaluations 12 --task-iterations 1 --tasks jigsaw",
    ),
    (r"^python benchmarks/pretrain.py .*--model", "--iterations 1 --held-out 2"),
    (r"^python benchmarks/pretrain.py", "--data-sets cifar10 --iterations 1 --held-out 2"),
    (r"^python benchmarks/env_baselines.py", "--tasks CIFAR10-Budget --steps 256"),
    (r"^python benchmarks/envs.py", "--steps 2"),
    (r"^python benchmarks/modules.py", "torchvision:squeezenet1_1 --size 64 --transforms 1"),
    (
        r"^python benchmarks/module_transform.py",
        f"{_FEW_IMAGES} --width 0.0625 --tuning-epochs 1 --finalists 1 --learn-from scores --seeds 0",
    ),
    (
        r"^python benchmarks/module_rank.py",
        f"{_FEW_IMAGES} --width 0.0625 --tuning-epochs 1 --transformations 3 --supernet-steps 2",
    ),
    (
        r"^python benchmarks/fine_tuning.py",
        f"{_FEW_IMAGES} --width 0.0625 --tuning-epochs 1 --budget 60% --rates 0.05 --until 0.5 --seeds 0",
    ),
    (
        r"^python benchmarks/effects.py",
        f"{_FEW_IMAGES} --width 0.0625 --images 50 --judging 50 --replacements 9 --combinations 1 --budgets 60% "
        "--seeds 0",
    ),
    (
        r"^python benchmarks/rivals.py",
        f"{_FEW_IMAGES} --network resnet18 --width 0.0625 --tuning-epochs 1 --budgets 60% --methods original thinner "
        "--seeds 0 --runtimes eager",
    ),
    (
        r"python benchmarks/latency.py",
        "--runtimes eager --batches 1 --networks 3 --width 0.0625 --image-size 8",
    ),
    (r"^python benchmarks/inheritance.py", f"{_FEW_IMAGES} --channels 4 --reference-images 32"),
    (r"^python benchmarks/sizing.py", "--architectures 1"),
)

#: Commands that are not run but read, and why.
PARSED = {
    r"^make": "they install, from the network; what they run is tested (natrl demo, this suite, benchmarks/)",
    r"^pip": "it downloads",
    r"^ray|^python -m natrl .*/mnt/|^kubectl": "they need a cluster",
    r"--weights DEFAULT|--data imagenet": "it downloads",
    r"--wandb": "it needs an account",
}
#: What several pages do alike is done once; these are the files and folders that it writes, "" for that of --out.
SHARED = {
    r"^natrl train --space nasbench201 --reward table:nasbench201 ": ("",),
    r"^natrl transform torchvision": ("",),
    r"^natrl transform examples": ("",),
    r"^python examples/own_network.py": ("images", "resnet18.safetensors"),
}


def smaller_file(text: str) -> str:
    """The text of a file, for a few iterations."""
    return re.sub(r"grace_period: \d+", "grace_period: 1", re.sub(r"iterations: \d+", "iterations: 2", text))


def smaller(command: str) -> str:
    """The options to append to a command."""
    return next((options for pattern, options in _SMALLER if re.search(pattern, command)), "")
