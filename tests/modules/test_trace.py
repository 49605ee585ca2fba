"""What one pass tells of a network, against the graph that torch.fx makes of its code."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import fx, nn

import natrl
from natrl.modules.trace.forward import Trace, trace, WATCHED
from natrl.modules.trace.sandbox import Sandbox
from tests.modules.networks import DataDependent, Dense, Joins, Residual, Shared, Slices


def traced(model: nn.Module, size: int = 32) -> Trace:
    return trace(model, Sandbox(model, torch.randn(2, 3, size, size)))


def by_fx(model: nn.Module) -> tuple[list[tuple[str, frozenset[int]]], list[frozenset[int]]]:
    """(layer, sources) of each call, and the sources of the output: the graph of the code, other nodes contracted."""
    modules, graph = dict(model.named_modules()), fx.symbolic_trace(model.eval()).graph
    sources: dict[fx.Node, frozenset[int]] = {}
    calls = []
    for node in graph.nodes:
        read = frozenset[int]().union(*(sources[n] for n in node.all_input_nodes))
        if node.op == "placeholder":
            sources[node] = frozenset((0,))
        elif node.op == "call_module" and type(modules[node.target]) in WATCHED:
            calls.append((node.target, read))
            sources[node] = frozenset((len(calls),))
        else:
            sources[node] = read
        if node.op == "output":
            return calls, [read]
    raise AssertionError("a graph without an output")


NETWORKS = {
    "residual": Residual,
    "dense": Dense,
    "joins": Joins,
    "shared": Shared,
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "densenet": lambda: torchvision.models.DenseNet(8, (3, 2), 16, num_classes=10),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(num_classes=10),
    "shufflenet_v2_x0_5": lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=10),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_sources_are_those_of_the_code(name):
    """The real networks take up to a second each."""
    model = NETWORKS[name]()
    found = traced(model, 64)
    calls, outputs = by_fx(model)
    assert found.complete
    assert [(call.layer, call.sources) for call in found.calls] == calls
    assert list(found.outputs) == outputs
    if name == "resnet18":
        assert len(calls) == 22  # 20 convolutions, a pooling and a linear layer


def test_what_is_written_into_slices_is_not_lost():
    found = traced(Slices())
    assert [(c.layer, sorted(c.sources)) for c in found.calls] == [("first", [0]), ("second", [0]), ("last", [1, 2])]


def test_what_outputs_run_into_first():
    met = {call.layer: set(call.met) for call in traced(Joins()).calls}
    assert met["added"] == {"add"}
    assert met["gate"] == {"mul"}
    assert met["both"] == {"add", "mul"}
    assert met["joined"] == {"cat"}
    assert "layer 'added'" in met["stem"]
    met = {call.layer: set(call.met) for call in traced(Residual()).calls}
    assert met["conv1"] == {"layer 'conv2'"}
    assert met["conv2"] == met["shortcut"] == {"add"}


def test_shapes_and_madds():
    found = traced(Shared(), 16)
    shapes = [(call.layer, call.in_shape, call.out_shape) for call in found.calls]
    assert shapes[1:] == [
        ("twice", (2, 4, 16, 16), (2, 4, 16, 16)),
        ("pool", (2, 4, 16, 16), (2, 4, 8, 8)),
        ("twice", (2, 4, 8, 8), (2, 4, 8, 8)),
    ]
    assert found.madds == 9 * (3 * 4 * 256 + 4 * 4 * 256 + 4 * 4 * 64)  # of one image


def test_inference_mode_is_followed_and_counted():
    """Operations that are made of others are seen whole there."""

    class Decorated(Joins):
        forward = torch.inference_mode()(Joins.forward)

    plain, decorated = traced(Joins()), traced(Decorated())
    assert decorated.complete
    assert decorated.madds == plain.madds > 0
    assert decorated.calls == plain.calls


def test_a_path_that_depends_on_values_is_taken_with_data():
    model = DataDependent()
    bright = trace(model, Sandbox(model, torch.ones(1, 3, 8, 8)))
    assert not bright.complete
    assert [call.layer for call in bright.calls] == ["bright"]
    assert [call.layer for call in trace(model, Sandbox(model, -torch.ones(1, 3, 8, 8))).calls] == ["dark"]
    assert natrl.from_module(model, torch.ones(1, 3, 8, 8)).needed_data


@pytest.mark.parametrize("network", [Residual, DataDependent])
def test_importing_leaves_no_trace(network):
    """Weights, statistics, hooks, modes and random numbers are as they were, with fake tensors and with real ones."""
    model = network().train()
    next(model.children()).eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    torch.manual_seed(3)
    random_state, modes = torch.get_rng_state(), [m.training for m in model.modules()]
    natrl.from_module(model, torch.ones(2, 3, 16, 16))
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), random_state)
