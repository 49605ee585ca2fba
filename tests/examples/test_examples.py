"""Every example runs as it stands, only for fewer steps, and learns: its capture ends far above chance.

In this process, so that torch is imported and Ray started once: 3 to 8 s each.
"""

from __future__ import annotations

import importlib
import re
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
    assert {name.split()[0] for name in SHORT} | {"own_network", "nasbench_macro", *OPTIMIZED} == {
        p.stem for p in EXAMPLES.glob("[a-z]*.py")
    }


@pytest.mark.usefixtures("ray_session")
@pytest.mark.filterwarnings("ignore")  # what the libraries say about themselves is not ours to mend
@pytest.mark.parametrize("name", SHORT)
def test_learns_what_held_out_architectures_gain_by(name, monkeypatch, capsys, tmp_path):
    options, packages = SHORT[name]
    picture = tmp_path / "picture.png"
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(EXAMPLES)
    drawn = ["--picture", str(picture)] if name == "gymnasium_loop" else []  # which all draw alike
    before, after = importlib.import_module(name.split()[0]).main([*options, *drawn])
    random = importlib.import_module("_task").load_task().random_capture
    assert after > max(before, random) + 1
    assert f"{after:.3f} after" in capsys.readouterr().out
    assert picture.is_file() == bool(drawn)


#: Of each example in which a network is optimized: options.
OPTIMIZED = {
    "segmentation": ["--images", "24", "--epochs", "1", "--iterations", "1", "--candidates", "1"],
    "detection": ["--images", "16", "--epochs", "1", "--candidates", "1", "--max-madds", "90%"],
    "vision_transformer": ["--images", "100", "--epochs", "1", "--iterations", "1", "--candidates", "1"],
    "text": ["--snippets", "20", "--epochs", "1", "--candidates", "1"],
}


@pytest.mark.usefixtures("ray_session")
@pytest.mark.filterwarnings("ignore")  # as above
@pytest.mark.parametrize("name", OPTIMIZED)
def test_a_network_is_optimized_by_its_own_score(name, monkeypatch, capsys, tmp_path):
    """A network that has seen little: ten seconds."""
    if name == "detection":
        pytest.importorskip("torchmetrics")
    monkeypatch.syspath_prepend(EXAMPLES)
    importlib.import_module(name).main(
        [*OPTIMIZED[name], "--out", str(tmp_path / "out"), "--picture", str(tmp_path / "picture.png")]
    )
    printed = capsys.readouterr().out
    assert re.search(r" on test \w+, MAdds$", printed, re.MULTILINE)
    table = re.split(r" on test \w+, MAdds\n", printed)[1].splitlines()
    rows = [line.split()[-1 if name != "detection" else -4] for line in table]
    assert rows[:2] == ["100.0%", "100.0%"]
    assert float(rows[2].rstrip("%")) <= 90
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert (tmp_path / "picture.png").is_file()


@pytest.mark.filterwarnings("ignore")  # as above
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gymnasium_loop", "--steps 0"),
        *((name, "--seed -1") for name in OPTIMIZED),
        ("text", "--candidates 1.5"),
        ("segmentation", "--images 3"),
        ("detection", "--images 15"),
        ("own_network", "--epochs 0"),
        ("own_network", "--images 9"),
    ],
)
def test_a_wrong_number_is_one_line(name, options, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    option, value = options.split()
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(name).main([option, value])
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: must be a whole number of at least" in said
    assert repr(value) in said
