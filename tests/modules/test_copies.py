"""A copy is the model, or the model is refused by the attribute that makes it another one."""

from __future__ import annotations

import functools
import random
import types
import weakref

import numpy as np
import pytest
import torch
from torch import nn, Tensor
from torch.nn.utils import prune

import natrl
from tests.modules.networks import conv

X = torch.randn(2, 3, 8, 8)
FOUND: list[Tensor] = []
GLOBAL = conv(8, 8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = conv(3, 8), nn.BatchNorm2d(8)
        self.block = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.norm(self.a(x)).relu()).mean((2, 3)))

    def other(self, x: Tensor) -> Tensor:
        return Net.forward(self, x.clamp(-1, 1))


class Callable_:
    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def __call__(self, *args: Tensor) -> Tensor:
        return self.layer(*args)


class ItsOwnCopy(nn.ReLU):
    def __deepcopy__(self, memo: object) -> ItsOwnCopy:
        return self


class Reset(nn.Conv2d):
    """Its copy has new weights."""

    def __deepcopy__(self, memo: object) -> Reset:
        return Reset(8, 8, 3, padding=1)


class OfAClass(Net):
    shared = conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.shared(self.a(x))).mean((2, 3)))


class OfAGlobal(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(GLOBAL(self.a(x))).mean((2, 3)))


class MadeInTheForwardPass(Net):
    """A layer that is not there before the network has run."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "late"):
            self.late = conv(3, 3)
        return super().forward(self.late(x))


class MadeInAMode(Net):
    """As where branches are fused for evaluation."""

    def train(self, mode: bool = True) -> MadeInAMode:
        if not mode and not hasattr(self, "fused"):
            self.fused = conv(8, 8)
        return super().train(mode)


class ReadInEval(Net):
    """Going into evaluation mode reads a layer, and writes to it."""

    def eval(self) -> ReadInEval:
        self.block[0].weight.data.clamp_(-10, 10)
        return super().eval()


class DrawsInACopy(Net):
    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.noise = torch.randn(8)


class Adjacent(Net):
    """A buffer that is not dense."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.eye(8).to_sparse())

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (self.adjacency @ torch.ones(8, 1)).sum()


def replaced(model: Net) -> None:
    inner = model.forward
    model.forward = lambda x: inner(x.clamp(-3, 3))


def replaced_block(model: Net) -> None:
    inner = model.block.forward
    model.block.forward = lambda x: inner(x)


def by_default_argument(model: Net) -> None:
    model.block[2].forward = lambda x, layer=model.block[1]: layer(x)


def by_keyword(model: Net) -> None:
    def forward(x: Tensor, *, layer: nn.Module = model.norm) -> Tensor:
        return layer(x).relu()

    model.block[2].forward = forward


def by_a_list(model: Net) -> None:
    layers = {"all": [model.norm]}
    model.block[2].forward = lambda x: layers["all"][0](x)


def by_a_function_of_a_function(model: Net) -> None:
    def outer(function):  # type: ignore[no-untyped-def]
        return lambda x: function(x)

    model.block[2].forward = outer(outer(lambda x: model.norm(x)))


def by_a_partial(model: Net) -> None:
    model.block[2].forward = functools.partial(lambda layer, x: model.norm(x), None)


def by_a_cache(model: Net) -> None:
    model.block[2].forward = functools.lru_cache(model.norm.forward)


def by_a_weak_reference(model: Net) -> None:
    model.block[2].parent = weakref.ref(model)


def by_a_builtin_method(model: Net) -> None:
    model.block[2].forward = model.head.weight.detach().mul


def by_memory(model: Net) -> None:
    row = model.norm.weight.detach()[:, None, None]
    model.block[2].forward = lambda x: x * row


def forward_hook(model: Net) -> None:
    model.block.register_forward_hook(lambda module, args, output: output + model.norm(output))


def forward_pre_hook(model: Net) -> None:
    model.block.register_forward_pre_hook(lambda module, args: (model.norm(args[0]),))


def backward_hook(model: Net) -> None:
    model.block.register_full_backward_hook(lambda module, before, after: (before[0] * model.norm.weight.mean(),))


def tensor_hook(model: Net) -> None:
    model.block[0].weight.register_hook(lambda gradient: 0 * gradient)


def trained_elsewhere(model: Net) -> None:
    scale = nn.Parameter(torch.ones(8, 1, 1))
    model.block[2].forward = lambda x: x * scale


def collects(model: Net) -> None:
    found: list[Tensor] = []
    model.block.register_forward_hook(lambda module, args, output: found.append(output))


def collects_globally(model: Net) -> None:
    model.block.register_forward_hook(lambda module, args, output: FOUND.append(output))


def counts(model: Net) -> None:
    n = 0

    def hook(module: nn.Module, args: object, output: object) -> None:
        nonlocal n
        n += 1

    model.block.register_forward_hook(hook)


def moving_average(model: Net) -> None:
    mean = torch.zeros(())
    model.block.register_forward_hook(lambda module, args, output: mean.mul_(0.9).add_(output.detach().mean()) and None)


def keeps_a_graph(model: Net) -> None:
    model.block[1].kept = [model.a(X)]


def pruned(model: Net) -> None:
    prune.l1_unstructured(model.block[0], "weight", 0.5)


def its_own_copy(model: Net) -> None:
    model.block[2] = ItsOwnCopy()


def reset(model: Net) -> None:
    model.block[0] = Reset(8, 8, 3, padding=1)


REFUSED = {
    replaced: "the forward of the model refers to the original itself",
    replaced_block: "the forward of layer 'block' refers to the original's layer 'block'",
    by_default_argument: "the forward of layer 'block.2' refers to the original's layer 'block.1'",
    by_keyword: "the forward of layer 'block.2' refers to the original's layer 'norm'",
    by_a_list: "the forward of layer 'block.2' refers to the original's layer 'norm'",
    by_a_function_of_a_function: "the forward of layer 'block.2' refers to the original itself",
    by_a_partial: "the forward of layer 'block.2' refers to the original itself",
    by_a_cache: "the forward of layer 'block.2' refers to the original's layer 'norm'",
    by_a_weak_reference: "the parent of layer 'block.2' refers to the original itself",
    by_a_builtin_method: "the forward of layer 'block.2' refers to the original's 'head.weight'",
    by_memory: "the forward of layer 'block.2' refers to the original's 'norm.weight'",
    forward_hook: "the forward hook of layer 'block' refers to the original itself",
    forward_pre_hook: "the forward pre hook of layer 'block' refers to the original itself",
    backward_hook: "the backward hook of layer 'block' refers to the original itself",
    tensor_hook: "the hook of 'block.0.weight' is missing",
    trained_elsewhere: "the forward of layer 'block.2' refers to a trained tensor that all copies share",
    collects: "the forward hook of layer 'block' changes",
    collects_globally: "the forward hook of layer 'block' changes",
    counts: "the forward hook of layer 'block' changes",
    moving_average: "the forward hook of layer 'block' changes",
    keeps_a_graph: "the kept of layer 'block.1' holds a tensor with the graph of a forward pass; run the model",
    pruned: "the weight of layer 'block.0' holds a tensor with the graph",
    its_own_copy: "layer 'block.2' is not copied",
    reset: "'block.0.weight' is not the same",
}


def constant(model: Net) -> None:
    scale, options = torch.full((8, 1, 1), 2.0), {"power": 2}
    model.block[2].forward = lambda x: (x * scale) ** options["power"]


def bound_to_itself(model: Net) -> None:
    model.forward = types.MethodType(Net.other, model)


def bound_to_a_part(model: Net) -> None:
    model.block[2].forward = model.norm.forward


def partial_of_a_part(model: Net) -> None:
    model.block[2].forward = functools.partial(torch.add, model.norm.bias[:, None, None].detach().clone())


def callable_object(model: Net) -> None:
    model.block[2].forward = Callable_(model.norm)


def hook_of_an_object(model: Net) -> None:
    model.block.register_forward_hook(lambda module, args, output: 2 * output)


def plain_list(model: Net) -> None:
    model.layers = [model.a, model.block]


def pruned_and_run(model: Net) -> None:
    pruned(model)
    with torch.no_grad():
        model.eval()(X)
        model.train()


ACCEPTED = [constant, bound_to_itself, bound_to_a_part, partial_of_a_part, callable_object, hook_of_an_object]
ACCEPTED += [plain_list, pruned_and_run]


def digest(model: nn.Module) -> list[object]:
    """Everything of a model that importing might change."""
    state = [
        (name, t.to_dense().clone(), t.requires_grad, t.grad) for name, t in model.state_dict(keep_vars=True).items()
    ]
    modes = [module.training for module in model.modules()]
    draws = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()  # noqa: NPY002
    return [[(n, hash(str(t.tolist())), r, g is None) for n, t, r, g in state], modes, *(hash(str(d)) for d in draws)]


def scale(model: nn.Module, factor: float) -> None:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.mul_(factor)


@pytest.mark.parametrize("change", REFUSED, ids=lambda c: c.__name__)
@pytest.mark.parametrize("training", [True, False])
def test_what_a_copy_cannot_stand_for_is_refused_by_its_name(change, training):
    model = Net().train(training)
    change(model)
    before = digest(model)
    with pytest.raises(ValueError, match=REFUSED[change]) as raised:
        natrl.from_module(model, X)
    assert digest(model) == before
    assert not FOUND
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (MadeInTheForwardPass, r"makes its 'late\.bias' in the forward pass: run model\(example_input\) once before"),
        (MadeInAMode, r"makes or drops layer 'fused' when it goes into evaluation mode: give it after model\.eval\(\)"),
    ],
)
def test_what_is_not_there_yet_is_named_with_what_to_do(network, reason):
    model = network()
    with pytest.raises(ValueError, match=reason):
        natrl.from_module(model, X)
    assert dict(model.named_modules()).keys() == dict(network().named_modules()).keys()
    with torch.no_grad():
        model.eval()(X)
    space = natrl.from_module(model, X)
    with torch.no_grad():
        assert torch.equal(space.build(space.architecture).eval()(X), model(X))


def test_what_eval_reads_stays():
    space = natrl.from_module(ReadInEval(), X)
    assert "the model reads its weight" in space.frozen["block.0"]
    space.build(space.with_operations({"a": "conv_1x1"})).eval()(X)


@pytest.mark.parametrize("network", [DrawsInACopy, Adjacent])
@pytest.mark.parametrize("training", [True, False])
def test_networks_of_odd_parts_are_left_as_they_are(network, training):
    model = network().train(training)
    before = digest(model)
    space = natrl.from_module(model, X)
    assert digest(model) == before
    with torch.no_grad():
        assert torch.equal(space.build(space.architecture).eval()(X), model.eval()(X))


@pytest.mark.parametrize("network", [OfAClass, OfAGlobal])
def test_layers_of_a_class_or_a_global_are_left_alone(network):
    """They belong to no model: nothing is replaced in them, and their weights are not the model's."""
    space = natrl.from_module(network(), X)
    assert [slot.name for slot in space.slots] == ["a", "block.0", "head"]


def test_a_part_that_is_reached_otherwise_is_refused_before_it_runs():
    class Global(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(model.norm(x))

    model = Global()
    model.norm = nn.BatchNorm2d(3)
    before = digest(model)
    with pytest.raises(ValueError, match="the model uses the original's layer 'norm' in every copy"):
        natrl.from_module(model, X)
    assert digest(model) == before


@pytest.mark.parametrize("change", ACCEPTED, ids=lambda c: c.__name__)
@pytest.mark.parametrize("training", [True, False])
def test_a_copy_depends_on_its_own_weights_alone(change, training):
    """Its weights change what it gives, those of the original do not; and neither changes the other's tensors."""
    model = Net().train(training)
    change(model)
    before = digest(model)
    space = natrl.from_module(model, X)
    assert digest(model) == before
    twin = space.build(space.architecture)
    with torch.no_grad():
        expected = model.eval()(X)
        assert torch.equal(twin.eval()(X), expected)
        scale(twin, 1.5)
        changed = twin(X)
        assert not torch.equal(changed, expected)
        assert torch.equal(model(X), expected)
        scale(model, 0.5)
        assert torch.equal(twin(X), changed)
    twin.train()(X).sum().backward()
    assert all(p.grad is None for p in model.parameters())
