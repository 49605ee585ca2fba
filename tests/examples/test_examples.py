"""Every example runs as it stands, only for fewer steps, and learns: its capture ends far above chance.

In this process, so that torch is imported and Ray started once: 3 to 8 s each.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

#: Of each example: options, and the packages that it needs besides natrl's own.
SHORT = {
    "gymnasium_loop": (["--steps", "1000"], ()),
    "cleanrl_ppo": (["--steps", "4096"], ()),
    "sb3_maskable_ppo": (["--steps", "4096"], ("sb3_contrib",)),
    "sb3_maskable_ppo --sequential": (["--sequential", "--steps", "12288"], ("sb3_contrib",)),
    "torchrl_masked_ppo": (["--steps", "1536"], ("torchrl",)),
    "rllib_action_masking": (["--steps", "2048"], ()),
}


def test_every_example_is_tried() -> None:
    """own_network, which is none of the task, by tests/docs."""
    assert {name.split()[0] for name in SHORT} | {"own_network", "nasbench_macro", "segmentation"} == {
        p.stem for p in EXAMPLES.glob("[a-z]*.py")
    }


@pytest.mark.usefixtures("ray_session")
@pytest.mark.filterwarnings("ignore")  # what the libraries say about themselves is not ours to mend
@pytest.mark.parametrize("name", SHORT)
def test_learns_what_held_out_architectures_gain_by(name, monkeypatch, capsys):
    options, packages = SHORT[name]
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(EXAMPLES)
    before, after = importlib.import_module(name.split()[0]).main(options)
    random = importlib.import_module("_task").load_task().random_capture
    assert after > max(before, random) + 1
    assert f"{after:.3f} after" in capsys.readouterr().out


@pytest.mark.usefixtures("ray_session")
def test_segmentation_is_optimized_by_its_own_score(monkeypatch, capsys, tmp_path):
    """A network that has seen 24 images once: ten seconds."""
    monkeypatch.syspath_prepend(EXAMPLES)
    main = importlib.import_module("segmentation").main
    main(["--images", "24", "--epochs", "1", "--iterations", "1", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "mean IoU: " in printed
    assert "mean IoU on test images: " in printed
    assert (tmp_path / "out" / "model.safetensors").is_file()
