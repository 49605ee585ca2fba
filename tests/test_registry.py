"""What has a name: listing, finding, refusing, and what a user's code raises is said in one line, whatever it is."""

from __future__ import annotations

import sys
from pathlib import Path
from types import BuiltinFunctionType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle

from natrl.bench import METHODS
from natrl.checks.kinds import instance_of, subclass_of
from natrl.data import DATA
from natrl.evaluation.rewards import REWARDS
from natrl.policies.network import HEADS
from natrl.registry import Entry, find_object, Registry, returned_by
from natrl.rllib.registry import ALGORITHMS
from natrl.search import SEARCHES
from natrl.spaces import SPACES
from natrl.training.schedule import SCHEDULES

MODULE = """
import sys

class Thing:
    part = 5

NUMBER = 7

def fine(): return 3
def leaves(): sys.exit(3)
def raises(): raise RuntimeError("two\\nlines")
def asserts(): assert False
def interrupted(): raise KeyboardInterrupt
def needs(argument): return argument
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the user's, which is the current one but on no path."""
    (tmp_path / "user_of_registry.py").write_text(MODULE)
    (tmp_path / "leaves_at_once.py").write_text("raise SystemExit")
    (tmp_path / "lacks_at_once.py").write_text("().absent")
    (tmp_path / "no_python.py").write_text("def")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "user_of_registry", raising=False)


def numbers() -> Registry[int]:
    registry = Registry("number", instance_of(int), group="natrl.test_numbers")
    registry.register("one", 1, "the first")
    registry.register("maximum", "natrl.registry:T", arguments=("FILE", "NAME"))
    return registry


def offer(folder: Path, package: str, *lines: str, group: str = "natrl.test_numbers") -> None:
    """An installed package with entry points."""
    home = folder / f"{package}-1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (home / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))


def refusal(of: Registry, name: object) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        of.get(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(st.lists(st.text().filter(lambda name: name and ":" not in name), unique=True, max_size=5))
def test_what_is_registered_is_listed_in_order_found_and_taken(names: list[str]) -> None:
    registry = Registry("number", instance_of(int), group="natrl.test_nothing")
    for number, name in enumerate(names):
        registry.register(name, number)
    assert registry.names() == tuple(names)
    assert [registry.get(name) for name in names] == list(range(len(names)))
    for name in names:
        with pytest.raises(ValueError, match="is registered already"):
            registry.register(name, 0)


def test_names_that_cannot_be() -> None:
    for name in ("", "a:b", 3):
        with pytest.raises(ValueError, match="the name of a number must be text without a colon, got"):
            numbers().register(name, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"number 'two': expected an object of builtins.int, got a value of bytes"):
        numbers().register("two", b"2")


def test_a_miss_lists_what_would_be_right() -> None:
    known = "known: one, maximum:FILE, maximum:NAME, module:object"
    assert refusal(numbers(), "two") == f"unknown number 'two'; {known}"
    assert refusal(numbers(), "maximum") == f"unknown number 'maximum'; {known}"


def test_an_argument_follows_a_name() -> None:
    readers = Registry("reader", instance_of(BuiltinFunctionType), group="natrl.test_nothing")
    readers.register("folder", len, arguments=("PATH",))
    assert readers.find("folder:a:b") == (len, "a:b")
    assert readers.find(sum) == (sum, "")


def test_names_are_the_same_by_the_key() -> None:
    registry = Registry("number", instance_of(int), group="natrl.test_nothing", key=str.lower)
    registry.register("One", 1)
    assert registry.get("oNE") == 1
    with pytest.raises(ValueError, match="number 'ONE' is registered already"):
        registry.register("ONE", 1)


@pytest.mark.usefixtures("user")
def test_an_object_is_found_where_it_is() -> None:
    registry = numbers()
    assert registry.get("user_of_registry:NUMBER") == 7
    assert registry.get("user_of_registry:Thing.part") == 5
    assert registry.get(4) == 4
    registry.register("seven", "user_of_registry:NUMBER")
    assert registry.get("seven") == 7
    assert "user_of_registry:NUMBER" not in registry.names()


@pytest.mark.usefixtures("user")
def test_what_is_no_object_of_the_kind_is_refused() -> None:
    assert refusal(numbers(), "user_of_registry:fine").endswith("got a value of function")
    assert refusal(numbers(), "user_of_registry:absent") == (
        "number 'user_of_registry:absent': module 'user_of_registry' has no 'absent'"
    )
    assert refusal(numbers(), bool).endswith("got the class bool, bool() is an object of it")
    assert refusal(numbers(), None) == "number: expected an object of builtins.int, got a value of NoneType"
    classes = Registry("class", subclass_of(int), group="natrl.test_nothing")
    assert classes.get(bool) is bool
    assert refusal(classes, 3) == "class: expected a class derived from builtins.int, got a value of int"


def test_installed_packages_offer_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: None) -> None:
    offer(tmp_path, "numberpackage", "seven = user_of_registry:NUMBER", "broken = no_python:f", "one = absent:one")
    offer(tmp_path, "second", "twice = absent:a")
    offer(tmp_path, "third", "twice = absent:b", "wrong = user_of_registry:fine")
    monkeypatch.syspath_prepend(tmp_path)
    registry = numbers()
    assert registry.names() == ("one", "maximum", "broken", "seven", "twice", "wrong")
    assert "user_of_registry" not in sys.modules, "listing imports nothing"
    assert registry.get("one") == 1
    unheard = (
        "number 'one' is the registered one, not that of package numberpackage (absent:one): name that as module:object"
    )
    assert [registry.unheard(name) for name in ("one", "seven", "maximum:3")] == [unheard, "", ""]
    assert registry.get("seven") == 7
    assert registry.own("seven") is None, "workers have the package too"
    assert {e.name: e.description for e in registry.entries()}["seven"] == "of package numberpackage"
    assert "number 'broken' of package numberpackage: the module raised SyntaxError" in refusal(registry, "broken")
    assert "is offered by package second and package third" in refusal(registry, "twice")
    assert "number 'wrong': expected an object" in refusal(registry, "wrong")


@pytest.mark.usefixtures("user")
def test_what_one_process_alone_knows_travels() -> None:
    here, worker = numbers(), numbers()
    here.register("seven", "user_of_registry:NUMBER")
    here.register("eight", 8)
    for name in ("seven", "eight", "user_of_registry:Thing.part"):
        entry = here.own(name)
        sys.modules.pop("user_of_registry")
        worker.remember(cloudpickle.loads(cloudpickle.dumps(entry)))
        assert worker.get(name) == here.get(name)
    assert here.own("maximum:x") is None


@pytest.mark.usefixtures("user")
def test_an_object_has_a_name() -> None:
    class Number(int):
        pass

    registry = numbers()
    registry.get("user_of_registry:NUMBER")
    sys.modules["user_of_registry"].OWN = own = Number(9)  # type: ignore[attr-defined]
    assert registry.name_of(own) == "user_of_registry:OWN"
    assert registry.name_of("one") == registry.name_of(registry.get("one")) == "one"
    first, second = Number(3), Number(3)
    name = f"{__name__}:test_an_object_has_a_name.<locals>.Number()"
    assert [registry.name_of(n) for n in (first, second, first)] == [name, f"{name}#2", name]
    assert registry.get(f"{name}#2") is second
    assert refusal(numbers(), name).endswith("; the program that made it has to make it again")
    with pytest.raises(ValueError, match=r"expected an object of builtins.int, got a value of float"):
        registry.name_of(0.5)


CODE = {
    "user_of_registry:leaves": "the function raised SystemExit: 3",
    "user_of_registry:raises": "the function raised RuntimeError: two lines",
    "user_of_registry:asserts": "the function raised AssertionError",
    "user_of_registry:needs": "the function raised TypeError: needs() missing 1 required positional argument",
    "user_of_registry:absent": "module 'user_of_registry' has no 'absent'",
    "sys:exit": "the function raised SystemExit",
    "json:loads": "the function raised TypeError: loads() missing 1 required positional argument",
    "leaves_at_once:f": "the module raised SystemExit",
    "lacks_at_once:f": "the module raised AttributeError: 'tuple' object has no attribute 'absent'",
    "no_python:f": "the module raised SyntaxError",
    "no_such_module:f": "No module named 'no_such_module'",
    ":f": "Empty module name",
}


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("target", CODE)
def test_one_line_says_what_was_raised(target: str) -> None:
    what = f"data {target!r}"
    with pytest.raises(ValueError, match=r"^data ") as raised:
        returned_by(find_object(target, what), what)
    assert f"{what}: {CODE[target]}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("user")
def test_what_it_returns_and_an_interruption_pass() -> None:
    assert returned_by(find_object("user_of_registry:fine", "data"), "data") == 3
    with pytest.raises(KeyboardInterrupt):
        returned_by(find_object("user_of_registry:interrupted", "data"), "data")
    assert Entry("x", 1).forms == ("x",)


LACKING = """
from torch import nn
from natrl.bench import BenchMethod
from natrl.evaluation import Evaluator
from natrl.evaluation.rewards import Reward
from natrl.policies.network import Head
from natrl.rllib.registry import LearningAlgorithm
from natrl.search import Search

class Module(nn.Module): pass
class Method(Search): name = "x"
class Judge(Evaluator): pass

space, schedule = Module, {"epochs": 3}
reward, wrong_reward = Judge, Reward(7)
data = 7
algorithm, wrong_algorithm = Module, LearningAlgorithm(7)
head, wrong_head = Module, Head(7)
search, wrong_search = Method, lambda task: None
bench, wrong_bench = Method, BenchMethod("x", 7)
"""
#: By the name in LACKING: every registry, and what is said of the object that lacks something.
PLACES = {
    "space": (SPACES, "expected an object of natrl.spaces.base.Space, got the class Module"),
    "schedule": (SCHEDULES, "expected an object of natrl.training.schedule.Schedule, got a value of dict"),
    "reward": (REWARDS, "the class Judge does not define evaluate"),
    "wrong_reward": (REWARDS, "factory of a Reward must be a function, got a value of int"),
    "data": (DATA, "expected ImageData, (images, labels), data sets or loaders"),
    "algorithm": (ALGORITHMS, "expected a natrl.rllib.registry.LearningAlgorithm, or a function from LearnSettings"),
    "wrong_algorithm": (ALGORITHMS, "configure of a LearningAlgorithm must be a function, got a value of int"),
    "head": (HEADS, "the class Module does not define evaluate, sample"),
    "wrong_head": (HEADS, "decide of a Head must be a function, got a value of int"),
    "search": (SEARCHES, "the class Method does not define feedback, propose"),
    "wrong_search": (SEARCHES, "expected a class derived from natrl.search.method.Search, got a value of function"),
    "bench": (METHODS, "the class Method does not define feedback, propose"),
    "wrong_bench": (METHODS, "run of a BenchMethod must be a function, got a value of int"),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_registry_refuses_in_one_line(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An offer that fails to import, one that lacks what its place needs, and a name that is taken."""
    registry, message = PLACES[place]
    (tmp_path / "lacking_of_registry.py").write_text(LACKING)
    lines = ("lacks = absent_package:thing", f"mine = lacking_of_registry:{place}", "gone = lacking_of_registry:gone")
    offer(tmp_path, "offering", *lines, group=registry.group)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lacking_of_registry", raising=False)
    kind = registry.kind
    assert refusal(registry, "lacks").startswith(
        f"{kind} 'lacks' of package offering: No module named 'absent_package'"
    )
    assert refusal(registry, "gone").endswith("module 'lacking_of_registry' has no 'gone'")
    assert refusal(registry, "mine").startswith(f"{kind} 'mine': {message}")
    with pytest.raises(ValueError, match=f"{kind} '{registry.names()[0]}' is registered already"):
        registry.register(registry.names()[0], None)
