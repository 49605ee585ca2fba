"""A virtual environment with what envs/requirements.txt names and natrl without its dependencies: no torch, no Ray.

It installs from PyPI (skipped where that cannot be reached): 15 to 40 s, most of it unpacking.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pandas as pd
import pytest

import natrl

pytestmark = pytest.mark.timeout(900)  # what is downloaded, on a busy machine
ROOT = Path(natrl.__file__).parents[1]
REQUIREMENTS = ROOT / "envs" / "requirements.txt"

PROGRAM = """
import importlib.util, pathlib, sys
import gymnasium
import natrl

assert not any(importlib.util.find_spec(name) for name in ("torch", "ray", "sklearn", "typer"))
assert pathlib.Path(natrl.__file__).is_relative_to(sys.prefix), natrl.__file__
natrl.envs
from natrl.envs.wrappers import MaskForSampling

for table in sys.argv[1:]:
    made = gymnasium.make("natrl/ArchTransition-v0", space="nasbench201", evaluator=f"table:{table}")
    env = MaskForSampling(made)
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    _, reward, ended, _, info = env.step(env.action_space.sample(info["action_mask"]))
    assert ended and not info["invalid_actions"] and info["madds"] <= info["initial_madds"]
for ask in (
    lambda: natrl.optimize,
    lambda: natrl.load_policy,
    lambda: natrl.build_network,
    lambda: natrl.space("darts").build(natrl.parse("DARTS")),
    lambda: natrl.space("darts").supernet(None),
):
    try:
        ask()
    except ModuleNotFoundError as error:
        assert "pip install . in natrl's checkout" in str(error) and "\\n" not in str(error), error
    else:
        raise AssertionError("it needs torch or Ray")
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the environment."""
    folder = tmp_path_factory.mktemp("bare")
    checkout, home = folder / "checkout", folder / "venv"  # a copy: what setuptools builds goes beside the sources
    for name in ("natrl", "envs", "tuning"):
        shutil.copytree(ROOT / name, checkout / name, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    venv.create(home, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet", "--no-compile"]
    for arguments in (("-r", str(REQUIREMENTS)), ("--no-deps", str(checkout))):
        done = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
        if "NewConnectionError" in done.stderr or "No module named pip" in done.stderr:
            pytest.skip(f"nothing can be installed here: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return home


def test_environments_run_and_the_rest_says_what_it_needs(bare: Path, tmp_path: Path) -> None:
    space = natrl.space("nasbench201")
    rows = [(a.key, len(set(a.operations)) / 10) for a in space.architectures()]
    pd.DataFrame(rows, columns=["arch", "accuracy"]).to_parquet(tmp_path / "table.parquet")
    command = [bare / "bin" / "python", "-c", PROGRAM, "nasbench201", "table.parquet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_says_what_it_needs(bare: Path, tmp_path: Path) -> None:
    for command in ([bare / "bin" / "natrl"], [bare / "bin" / "python", "-m", "natrl"]):
        done = subprocess.run([*command, "show", "VGG"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("natrl: the command natrl needs the package 'typer', which is not installed")
        assert done.stderr.count("\n") == 1


def test_versions_are_those_of_the_whole_install() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = [line.partition("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines()]
    for requirement in filter(None, lines):
        assert f'"{requirement}"' in text, f"{requirement} is not what pyproject.toml asks for"
