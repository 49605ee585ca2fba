"""README and docs: every block and every command does what the page says, one after the other in one folder.

Each page in a folder of its own whose name has a space, with relative paths; smaller.py makes what would take long
smaller, and names what is only read. Together about a minute, most of it Ray's worker processes.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from types import FunctionType
from typing import Any

import pytest
import typer

from natrl.checks.reference import fields_in_words, is_settings
from natrl.cli import app
from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.settings import LearnSettings
from natrl.timing.latency import measure_latency
from natrl.training.schedule import Schedule
from natrl.tuning.optimize import optimize, OptimizeSettings
from natrl.tuning.sweep.plan import SHIPPED
from tests.bench.problems import thin
from tests.docs.pages import INLINE, PAGES, Piece, pieces, ROOT
from tests.docs.reader import check_make, check_pip, FILE, Reader
from tests.docs.smaller import smaller_file

EVERY = [piece for page in PAGES for piece in pieces(page)]
RUN = [page for page in PAGES if pieces(page)]
REFERENCE = sorted((ROOT / "docs" / "api").glob("*.md"))
QUICK = OptimizeSettings(
    learn=LearnSettings(iterations=1, batch_size=4, minibatch_size=4, epochs=1),
    evaluator=EvaluatorSpec(reward="inherited", reference_images=16, score_images=16, steps=0),
    candidates=1,
    finalists=1,
    moves="types,kernels,branches",  # two thirds of the scores
    tune_original=False,
    fine_tuning=Schedule(epochs=1, batch_size=64, learning_rate=0.01),
)


def quick_settings(**given: Any) -> OptimizeSettings:
    """Settings of a page, over those."""
    if given.get("method") == "additive":  # which has no policy to say anything of
        given = {"learn": OptimizeSettings().learn} | given
    return replace(QUICK, **given)


TABLES = ("nasbench201.csv.gz", "nasbench301_yahpo.onnx", "transnas101_micro.csv.gz")  # that pages name


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forgotten_spaces: None) -> None:
    """Smaller defaults where no option makes them smaller, and spaces that are forgotten."""
    monkeypatch.setattr("natrl.tuning.optimize.OptimizeSettings", quick_settings)
    monkeypatch.setattr("natrl.tuning.optimize.optimize", partial(optimize, settings=QUICK))
    monkeypatch.setattr("natrl.bench.trained.split", thin)
    few = partial(measure_latency, rounds=1, min_seconds=0.001)
    monkeypatch.setattr("natrl.tuning.optimize.budgets.measure_latency", few)
    monkeypatch.setattr("natrl.timing.table.NETWORKS", 3)
    spaces = tmp_path / "spaces"
    shutil.copytree(SHIPPED, spaces)
    for file in spaces.glob("*.yaml"):
        file.write_text(smaller_file(file.read_text()))
    monkeypatch.setattr("natrl.tuning.sweep.plan.SHIPPED", spaces)


@pytest.mark.timeout(900)  # of a whole page, on a busy machine
@pytest.mark.usefixtures("ray_session", "quick", "forgotten_operations")
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # MLflow's use of it
@pytest.mark.parametrize("page", RUN, ids=[page.stem for page in RUN])
def test_a_page_works_as_it_is_written(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    found = pieces(page)
    named = [file for file in TABLES if any(file in piece.text for piece in found)]
    files = [request.getfixturevalue("natrl_data") / file for file in named]
    reader = Reader(tmp_path, files)
    reader.read(found)
    for code, text in pairwise(found):
        if text.language == "text" and text.before == "It prints":
            assert reader.printed[f"{code.line}.py"] == text.text


@pytest.mark.parametrize("piece", [p for p in EVERY if p.language == INLINE], ids=str)
def test_commands_in_running_text_are_understood(piece: Piece) -> None:
    """Their options exist; what stands for something of the reader's is not looked at."""
    words = shlex.split(piece.text.replace("…", "x"))
    options = [word for word in words if word.startswith("-")]
    if words[0] == "natrl":
        command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(options) <= known
    elif "pip" in words[0]:
        check_pip(words[1:])
    elif words[0] == "make":
        check_make(words[1:])


def test_every_block_is_of_a_kind_that_is_read() -> None:
    """sh and python are run; files (yaml, dockerfile) say their name and are read by what they are for."""
    assert sum(piece.language == "python" for piece in EVERY) >= 12
    assert sum(piece.language == "sh" for piece in EVERY) >= 20
    for piece in EVERY:
        assert piece.language in ("sh", "python", "yaml", "dockerfile", "text", INLINE), piece
        if piece.language in ("yaml", "dockerfile"):
            assert FILE.match(piece.text), f"{piece}: a file begins with its name, as # NAME"
        if piece.language == "text":
            assert piece.before == "It prints", f"{piece}: a command or code is no text"


def test_the_image_of_the_docs_installs_what_there_is() -> None:
    (text,) = [piece.text for piece in EVERY if piece.language == "dockerfile"]
    (extras,) = re.findall(r"checkout\[([\w,]+)\]", text)
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras.split(","))


def test_links_within_the_repository_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_gallery_has_every_example_and_a_picture_of_it() -> None:
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    examples = [file.stem for file in (ROOT / "examples").glob("[a-z]*.py")]
    assert examples
    for name in examples:
        assert f"examples/{name}.py" in text
        assert f"](images/gallery/{name}.png)" in text  # which is there, as all that is linked


def entries(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Of a page of the reference: modules, and which of their members it has (none: all)."""
    text = page.read_text(encoding="utf-8")
    for name, members in re.findall(r"^::: (\S+)\n((?:    .*\n)*)", text, re.MULTILINE):
        yield name, re.findall(r"- (\w+)", members)


def test_the_reference_names_what_there_is() -> None:
    assert len(REFERENCE) > 5
    for name, members in (entry for page in REFERENCE for entry in entries(page)):
        module = import_module(name)
        for member in members:
            assert hasattr(module, member), f"{name}.{member}"


def test_the_reference_has_every_class_of_settings_and_each_field_says_what_it_is() -> None:
    listed = {f"{name}.{member}" for name, some in entries(ROOT / "docs" / "api" / "settings.md") for member in some}
    found = set()
    for file in (file for top in ("natrl", "tuning") for file in (ROOT / top).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "@dataclass" in source and ("check_fields(self" in source or "Doc(" in source):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            module = import_module(name if name.startswith("natrl.") else f"natrl.{name}")
            settings = [
                kind for kind in vars(module).values() if is_settings(kind) and kind.__module__ == module.__name__
            ]
            assert len(settings) >= source.count("check_fields(self"), f"{file}: fields say what they are, by Doc"
            assert all(field.text for kind in settings for field in fields_in_words(kind)), file
            found |= {f"{module.__name__}.{kind.__name__}" for kind in settings}
    assert found == listed


def test_what_pages_name_is_there_and_classes_and_functions_are_in_the_reference() -> None:
    """`natrl.…` in text and code: modules, what they hold, and groups of entry points; and what code imports."""
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "natrl").rglob("*.py")]
    groups = {name for source in sources for name in re.findall(r'group="(natrl\.\w+)"', source)}
    shown = [
        getattr(import_module(name), member)
        for page in REFERENCE
        for name, some in entries(page)
        for member in some or import_module(name).__all__
    ]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        names = re.findall(r"(?<![\w./-])natrl(?:\.[A-Za-z_]\w*)+", text)
        for module, some in re.findall(r"^from (natrl[\w.]*) import (.+)$", text, re.MULTILINE):
            names += [f"{module}.{member.partition(' as ')[0]}" for member in some.split(", ")]
        for name in set(names) - groups:
            thing = resolve_name(name)  # ImportError or AttributeError where there is none
            assert not isinstance(thing, FunctionType | type) or thing in shown, f"{page.name}: {name}"


def test_nothing_is_asked_for_by_a_name_that_is_not_on_pypi() -> None:
    """natrl itself is installed from its checkout."""
    for folder in ("natrl", "envs", "tuning", "examples", "docs", "benchmarks"):
        for file in (ROOT / folder).rglob("*.*"):
            if file.suffix in (".py", ".md", ".yaml"):
                assert not re.search(r"pip install '?natrl", file.read_text(encoding="utf-8")), file
