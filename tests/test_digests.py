"""Digests: another one for everything that can change a score, the same in every process for what is the same."""

from __future__ import annotations

import copy
import functools
import importlib
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, Tensor

from natrl.digests import digest
from natrl.spaces import Skeleton

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.sampled_from("abc")
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.text(), inner),
        st.frozensets(PLAIN),
        st.lists(st.floats(width=32, allow_nan=False)).map(np.array),
    ),
    max_leaves=6,
)


@given(VALUES)
@settings(max_examples=50)
def test_copies_have_the_same(value: Any) -> None:
    assert digest(value) == digest(copy.deepcopy(value)) == digest(pickle.loads(pickle.dumps(value)))
    assert digest([value, value]) == digest([value, copy.deepcopy(value)]), "identity does not count"


@given(VALUES, VALUES)
@settings(max_examples=50)
def test_others_have_another(value: Any, other: Any) -> None:
    assert digest([value]) != digest([value, other])
    assert digest({"a": value}) != digest({"b": value})
    assert (digest(value) == digest(other)) == (repr(_sorted(value)) == repr(_sorted(other)))


def _sorted(value: Any) -> Any:
    """The value with its sets in an order."""
    if isinstance(value, frozenset):
        return "set", sorted(map(repr, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_sorted, value))
    if isinstance(value, dict):
        return {name: _sorted(part) for name, part in value.items()}
    return (value.tolist(), str(value.dtype), value.shape) if isinstance(value, np.ndarray) else value


def test_entries_types_and_shapes_of_arrays_count() -> None:
    arrays: list[Any] = [np.zeros(4), np.zeros((2, 2)), np.zeros(4, np.float32), np.array([0.0, 0, 0, 1])]
    arrays += [
        torch.zeros(4),
        torch.zeros(2, 2),
        torch.zeros(4).half(),
        torch.zeros(4).requires_grad_(),
        np.array(["0"]),
    ]
    assert len({digest(a) for a in arrays}) == len(arrays)
    assert digest(torch.zeros(2, 3, 4, 4)) == digest(torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last))


SLOPE = 0.1


def activation(x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(x, SLOPE)


class Net(nn.Module):
    """What a test changes is one part of it."""

    def __init__(self, act: Callable[[Tensor], Tensor] = activation) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.act = act
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 4)
        self.scale = 1.0
        self.register_buffer("offset", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.norm(self.conv(x))).mean((2, 3)) * self.scale + self.offset)


class Other(Net):
    """The same layers and weights, other code."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.norm(self.conv(x))).amax((2, 3)) * self.scale + self.offset)


def closing_over(slope: float) -> Callable[[Tensor], Tensor]:
    return lambda x: nn.functional.leaky_relu(x, slope)


def changed(change: Callable[[Net], Any]) -> Net:
    net = Net()
    change(net)
    return net


def _replace_forward(net: Net) -> None:
    net.forward = functools.partial(Other.forward, net)  # type: ignore[method-assign]


def _pad(net: Net) -> None:
    net.conv.padding = (1, 1)


def _weight(net: Net) -> None:
    net.conv.weight.data[0, 0, 0, 0] += 1


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "itself": Net,
    "another class": Other,
    "a function of torch": lambda: Net(nn.functional.relu),
    "another one": lambda: Net(nn.functional.gelu),
    "a lambda": lambda: Net(lambda x: x.relu()),
    "another lambda": lambda: Net(lambda x: x.relu() + 1),
    "a constant in it": lambda: Net(lambda x: x.relu() + 2),
    "what it closes over": lambda: Net(closing_over(0.1)),
    "another value there": lambda: Net(closing_over(0.2)),
    "a partial": lambda: Net(functools.partial(nn.functional.leaky_relu, negative_slope=0.3)),
    "another argument": lambda: Net(functools.partial(nn.functional.leaky_relu, negative_slope=0.4)),
    "a module": lambda: Net(nn.ELU()),
    "a setting of it": lambda: Net(nn.ELU(0.5)),
    "a weight": lambda: changed(_weight),
    "a buffer of the state": lambda: changed(lambda net: net.norm.running_mean.fill_(1.0)),
    "a buffer outside it": lambda: changed(lambda net: net.offset.fill_(1.0)),
    "an attribute": lambda: changed(lambda net: setattr(net, "scale", 2.0)),
    "a layer's setting": lambda: changed(_pad),
    "a hook": lambda: changed(lambda net: net.conv.register_forward_hook(lambda module, given, out: 2 * out)),
    "another hook": lambda: changed(lambda net: net.conv.register_forward_hook(lambda module, given, out: 3 * out)),
    "a replaced forward": lambda: changed(_replace_forward),
    "tied weights": lambda: changed(_tie),
    "the same untied": lambda: changed(_untie),
    "a frozen weight": lambda: changed(lambda net: net.conv.weight.requires_grad_(False)),
    "a resting batch-norm": lambda: changed(lambda net: net.norm.eval()),
}


def _tie(net: Net) -> None:
    net.second = nn.Linear(4, 4, bias=False)
    net.second.weight = net.head.weight


def _untie(net: Net) -> None:
    _tie(net)
    net.second.weight = nn.Parameter(net.head.weight.detach().clone())


def test_whatever_a_networks_outputs_depend_on_counts() -> None:
    found = {name: digest(build()) for name, build in NETWORKS.items()}
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_are_made_alike_or_copied_have_the_same(name: str) -> None:
    network = NETWORKS[name]()
    assert digest(network) == digest(NETWORKS[name]()) == digest(cloudpickle.loads(cloudpickle.dumps(network)))


def test_a_global_counts_and_so_does_a_function_that_a_function_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Net(lambda x: activation(x))
    before = digest(network)
    monkeypatch.setitem(globals(), "SLOPE", 0.2)
    assert digest(network) != before
    monkeypatch.undo()
    assert digest(network) == before
    monkeypatch.setitem(globals(), "activation", lambda x: x)
    assert digest(network) != before


def test_generated_and_scripted_networks_count_by_their_code() -> None:
    class Plus(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.n = n

        def forward(self, x: Tensor) -> Tensor:
            return x.relu() + 1 if self.n == 1 else x.relu() + 2

    traced = [digest(torch.fx.symbolic_trace(Plus(n))) for n in (1, 2, 1)]
    assert traced[0] == traced[2] != traced[1]


IN_ANOTHER_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from mine import Net, table
from natrl.digests import digest
print(digest(Net()), digest(table), digest(Net))
"""

MINE = """
import torch
import helper
from torch import nn

table = {"set": {"a", "b", "c", 1, 2.5}, "net": nn.Conv2d, "f": lambda x: helper.shift(x)}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3)
        self.names = {"x", "y", "z"}

    def forward(self, x):
        return helper.shift(super().forward(x)) if x in {"p", "q", "r"} else x
"""


def test_another_process_gives_the_same_and_a_users_module_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that imports torch: two seconds."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text("unused = 0\ndef shift(x): return x + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    mine, helper = (importlib.import_module(name) for name in ("mine", "helper"))

    def here() -> list[str]:
        return [digest(mine.Net()), digest(mine.table), digest(mine.Net)]

    first = here()
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path)]
    environment = os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == first
    exec("# a comment\nunused = 9\n\ndef shift(x):\n    return x + 1\n", vars(helper))
    assert here() == first
    exec("def shift(x): return x + 2", vars(helper))
    assert not set(here()) & set(first)
    for name in ("mine", "helper"):
        del sys.modules[name]


def test_a_users_module_that_is_called_like_one_of_pythons_counts_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`test` is a package of Python's own, too."""
    found = []
    for number in (1, 2, 1):
        module = ModuleType("test")
        module.__file__ = str(tmp_path / "test.py")
        exec(f"def score(x): return x + {number}", vars(module))
        monkeypatch.setitem(sys.modules, "test", module)
        found.append(digest(module.score))
    assert found[0] == found[2] != found[1]
    assert digest(json.dumps) == digest(json.dumps) != digest(json.loads)


def test_cycles_end() -> None:
    value: list[Any] = [1]
    value.append(value)
    other: list[Any] = [2]
    other.append(other)
    assert digest(value) != digest(other)


def test_objects_count_by_class_and_state() -> None:
    skeletons = [Skeleton(channels=c, cells=3) for c in (4, 8, 4)]
    found = [digest(s) for s in skeletons]
    assert found[0] == found[2] != found[1]


def test_what_only_copyreg_knows_how_to_pickle_counts() -> None:
    assert len({digest(value) for value in (re.compile("a"), re.compile("b"), re.compile("a"), np.sin, np.cos)}) == 4


def test_what_cannot_be_described_is_refused_in_one_line() -> None:
    class Holder:
        def __init__(self) -> None:
            self.lock = threading.Lock()

    with pytest.raises(
        ValueError, match=r"^Holder holds a lock, which cannot be described, .*: cannot pickle"
    ) as caught:
        digest(Holder())
    assert "\n" not in str(caught.value)
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ValueError, match="nested too deeply"):
        digest(nested)
