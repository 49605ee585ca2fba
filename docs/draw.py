"""Pictures of docs/concepts.md, docs/environment.md and docs/gallery.md: python docs/draw.py (make docs runs it)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from runpy import run_path

import gymnasium
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch
from PIL import Image

import natrl
import natrl.envs
from natrl.core.operations import PRIMITIVES
from natrl.core.transitions import affordable, transition_matrix
from natrl.drawing.architectures import draw, save_figure, settings
from natrl.drawing.palette import INK, MUTED, PAPER

IMAGES = Path(__file__).parent / "images"
EXAMPLES = Path(__file__).parent.parent / "examples"
WIDTHS = natrl.Skeleton().widths
#: Of the masks: forbidden, forbidden by the cost alone, NAT's, what NAT++ adds (Okabe and Ito).
KINDS = {"forbidden": "#f2f2f2", "costs more": "#E69F00", "nat": "#0072B2", "nat++ adds": "#56B4E9"}
SIGNS = ("", "×", "•", "+")
EPISODE = 3  # seed
BOXES = (
    (0.085, "state β\nan architecture"),
    (0.37, "policy\ngraph encoder + head"),
    (0.65, "mask\nBMSoftmax, live path"),
    (0.9, "action α\none primitive a slot"),
)


def loop() -> Figure:
    """The MDP: state, policy, mask, action, evaluator, reward."""
    with settings():
        figure = Figure(figsize=(9, 3.1), facecolor=PAPER)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.axis("off")
        box = {"boxstyle": "round,pad=0.5", "facecolor": PAPER, "edgecolor": INK, "linewidth": 1.2}
        for x, text in BOXES:
            axes.text(x, 0.72, text, ha="center", va="center", fontsize=10, color=INK, bbox=box)
        axes.text(
            0.65, 0.2, "evaluator\nvalidation accuracy", ha="center", va="center", fontsize=10, color=INK, bbox=box
        )
        for start, end in pairwise(BOXES):
            _arrow(axes, (start[0] + (0.075 if start is BOXES[0] else 0.1), 0.72), (end[0] - 0.1, 0.72))
        axes.text(0.22, 0.76, "ops, adjacency", ha="center", va="bottom", fontsize=8, color=MUTED)
        axes.text(0.51, 0.76, "logits", ha="center", va="bottom", fontsize=8, color=MUTED)
        axes.text(0.775, 0.76, "sample", ha="center", va="bottom", fontsize=8, color=MUTED)
        _arrow(axes, (0.9, 0.6), (0.735, 0.2), bend=-0.3)
        _arrow(axes, (0.562, 0.2), (0.37, 0.6), bend=-0.3)
        axes.text(0.37, 0.17, "reward\nscore(α) − score(β)", ha="center", va="center", fontsize=10, color=INK)
        return figure


def _arrow(axes, start, end, bend=0.0) -> None:  # type: ignore[no-untyped-def]  # matplotlib's
    style = f"arc3,rad={bend}"
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=INK, connectionstyle=style))


def masks() -> Figure:
    """Which operation may become which, at stride 2 and the widths of the default skeleton."""
    nat, natpp = transition_matrix(PRIMITIVES, "nat"), transition_matrix(PRIMITIVES, "nat++")
    kind = np.select([natpp & ~affordable(PRIMITIVES, WIDTHS, 2), nat, natpp], [1, 2, 3], 0)
    with settings():
        figure = Figure(figsize=(7.2, 5.6), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        axes.imshow(kind, cmap=ListedColormap(list(KINDS.values())), vmin=0, vmax=3)
        for (row, column), value in np.ndenumerate(kind):
            axes.text(
                column, row, SIGNS[value], ha="center", va="center", fontsize=9, color=PAPER if value == 2 else INK
            )
        ticks = range(len(PRIMITIVES))
        axes.set_xticks(ticks, PRIMITIVES, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(ticks, PRIMITIVES, fontsize=8)
        axes.set_xticks(np.arange(len(PRIMITIVES)) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(PRIMITIVES)) - 0.5, minor=True)
        axes.grid(which="minor", color=PAPER, lw=1)
        axes.tick_params(which="both", length=0)
        axes.set(xlabel="may become", ylabel="an operation")
        handles = [
            Patch(facecolor=c, label=f"{s} {name}".strip()) for (name, c), s in zip(KINDS.items(), SIGNS, strict=True)
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
        return figure


def episode() -> list[Image.Image]:
    """An episode, slot after slot, of the policy that natrl comes with: what it would choose is chosen in turn."""
    env = gymnasium.make("natrl/NASBench201-CIFAR10-Sequential-HeldOut-v0", render_mode="rgb_array").unwrapped
    _, info = env.reset(seed=EPISODE)
    answer = natrl.load_policy("pretrained").transform(info["architecture"], n=1).best
    frames, ended = [env.render()], False
    for operation in answer.operations:
        assert not ended
        _, _, ended, _, _ = env.step(env.core.space.primitives.index(operation))
        frames.append(env.render())
    return [Image.fromarray(frame).resize((640, 480), Image.Resampling.LANCZOS).quantize(32) for frame in frames]


def macro() -> None:
    """An architecture of the space of examples/nasbench_macro.py, and one that the masks let it become."""
    space, rng = run_path(str(EXAMPLES / "nasbench_macro.py"))["SPACE"], np.random.default_rng(EPISODE)
    before = space.sample(rng)
    after = [rng.choice(np.array(space.primitives)[allowed]).item() for allowed in space.masks(before)]
    image = IMAGES / "gallery" / "nasbench_macro.png"
    image.parent.mkdir(exist_ok=True)
    draw(before.with_operations(after), image, before=before, networks=space)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    macro()
    save_figure(loop(), IMAGES / "mdp.png", "png")
    save_figure(masks(), IMAGES / "masks.png", "png")
    zoo = natrl.parse("VGG"), natrl.parse("NATv2_VGG")
    draw(
        zoo[1],
        IMAGES / "transition.png",
        before=zoo[0],
        networks=natrl.Skeleton(),
        title="VGG and the NAT++ paper's answer",
    )
    first, *others = episode()
    pauses = [900] * len(others) + [3000]  # milliseconds
    first.save(IMAGES / "episode.gif", save_all=True, append_images=others, duration=pauses, loop=0, optimize=True)


if __name__ == "__main__":
    main()
