"""What importing natrl costs and gives, and which floor may import which."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import natrl

ROOT = Path(natrl.__file__).parent


@pytest.mark.parametrize("module", ["natrl", "natrl.spaces", "natrl.envs", "natrl.cli"])
def test_floors_0_and_1_the_environments_and_commands_import_neither_torch_nor_ray(module: str) -> None:
    """In a process of its own, since other tests have imported both: 0.2–1 s."""
    code = f"import sys, {module}; print(*sorted({{'torch', 'ray'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize(
    "module", ["natrl.evaluation.divergence", "natrl.evaluation.supernet", "natrl.tuning.optimize.fine_tunings"]
)
def test_actors_import_nothing_that_takes_seconds_and_that_they_have_no_use_for(module: str) -> None:
    slow = ("torch_pruning", "torchvision", "timm", "torch._dynamo", "ray.rllib", "sklearn", "pandas", "matplotlib")
    code = f"import sys, {module}; print(*sorted(set({slow!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


def test_public_names() -> None:
    assert natrl.__all__ == [
        "Architecture",
        "ChainSpace",
        "Cost",
        "Evaluator",
        "Operation",
        "OptimizeSettings",
        "RunSettings",
        "Skeleton",
        "Space",
        "build_network",
        "evaluate",
        "from_module",
        "front",
        "load_data",
        "load_module",
        "load_policy",
        "network_cost",
        "operation",
        "operation_cost",
        "optimize",
        "parse",
        "register_operation",
        "register_space",
        "space",
        "successors",
        "train",
        "transform",
        "zoo",
    ]
    shown = {name for name in dir(natrl) if not name.startswith("__")}
    assert shown == {*natrl.__all__, "bench", "data", "drawing", "envs", "evaluation", "tuning"}
    assert natrl.__version__


@pytest.mark.parametrize("name", natrl.__all__)
def test_every_public_name_exists(name: str) -> None:
    """load_policy and build_network import torch on first use."""
    assert callable(getattr(natrl, name))


def test_packages_are_there_without_an_import_of_their_own() -> None:
    code = "import natrl; print(natrl.envs.ArchTransitionEnv.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "ArchTransitionEnv"), done.stderr


def test_pages_take_what_is_shown() -> None:
    """`natrl.NAME(` in the Python of README and docs."""
    root = ROOT.parent
    text = "".join(page.read_text(encoding="utf-8") for page in (root / "README.md", *(root / "docs").glob("*.md")))
    blocks = "".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert {"optimize", "space"} <= (taken := set(re.findall(r"\bnatrl\.(\w+)\(", blocks)))
    assert taken <= set(natrl.__all__)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'natrl' has no attribute 'polices'"):
        natrl.polices  # noqa: B018


def floors() -> dict[str, int]:
    """The floor of each part, from the table in CONTRIBUTING.md."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (.*?) \|", text, re.MULTILINE)
    return {part: int(floor) for floor, where in rows for part in named(where)}


def named(where: str) -> list[str]:
    """The parts in a cell of the table: "envs/ (`natrl.envs`), natrl/{core,files}/, natrl/cli.py"."""
    bare = re.sub(r"\(.*?\)", "", where)
    return re.findall(r"(?<![\w.])(?!natrl\b)(\w+)(?:/|\.py|(?=[,}]))", bare)


FLOORS = floors()


def imported(path: Path) -> set[str]:
    """The parts of natrl that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names |= {f"natrl.{alias.name}" for alias in node.names} if node.module == "natrl" else {node.module or ""}
    return {name.split(".")[1] for name in names if name.startswith("natrl.")}


def files(part: str) -> list[Path]:
    """The modules of a part, links followed."""
    return sorted((ROOT / part).rglob("*.py")) if (ROOT / part).is_dir() else [ROOT / f"{part}.py"]


def parts() -> list[str]:
    """Every module and package of natrl but its face, which offers names from every floor."""
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    return sorted(names - {"__init__", "__main__"})


@pytest.mark.parametrize("part", parts())
def test_no_part_imports_from_a_floor_above(part: str) -> None:
    assert part in FLOORS, f"natrl.{part} is on no floor: add it to the table in CONTRIBUTING.md"
    for path in files(part):
        above = {name for name in imported(path) & set(FLOORS) if FLOORS[name] > FLOORS[part]}
        assert not above, f"{path} (floor {FLOORS[part]}) imports from {', '.join(sorted(above))}"


def test_the_table_has_no_part_that_is_gone() -> None:
    assert set(FLOORS) == set(parts())


def test_parts_import_each_other_in_no_circle() -> None:
    graph = {part: set().union(*map(imported, files(part))) - {part} for part in parts()}
    assert "core" in graph["tuning"], "links are followed"
    assert "core" in graph["envs"], "links are followed"
    tuple(TopologicalSorter(graph).static_order())  # CycleError names the circle


def test_a_circle_would_be_seen() -> None:
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"report": {"tuning"}, "tuning": {"core"}, "core": {"report"}}).static_order())
