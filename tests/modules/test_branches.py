"""Whatever a residual sum takes in goes in one move: attention, MLPs, other blocks, with all that is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, Tensor
from torch.nn import functional as F

import natrl
from natrl.core.operations import Cost
from natrl.core.transitions import CostMode
from natrl.modules import load_module, ModuleSpace, save_module
from natrl.modules.network_supernet import ModuleSupernet
from tests.modules.networks import conv
from tests.modules.test_rules import counted
from tests.spaces.test_promise import Actor, joint, sequential

C, HIDDEN = 8, 16
IMAGES = torch.randn(2, 3, 8, 8)


class Attention(nn.Module):
    """Queries, keys and values from one linear layer, as timm has it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(C), nn.Linear(C, 3 * C), nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, 2, C // 2)).permute(2, 0, 3, 1, 4)
        x = ((q @ k.mT).softmax(-1) @ v).transpose(1, 2).reshape(*x.shape)
        return F.dropout(self.proj(x), 0.1, self.training)


class Torchs(nn.Module):
    """nn.MultiheadAttention, which uses its weights without calling a layer."""

    def __init__(self, *, weights: bool = False) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(C), nn.MultiheadAttention(C, 2, batch_first=True)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.attention(x, x, x, need_weights=self.weights)[0]


class Functional(nn.Module):
    """Attention that gives the weights of its linear layers to a function, as torchvision's Swin does.

    Another one makes a constant, as of positions.
    """

    class Core(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.bias = nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = F.linear(x, self.qkv.weight, self.qkv.bias).chunk(3, -1)
            return F.linear((q @ k.mT + self.bias(q.new_ones(1))).softmax(-1) @ v, self.proj.weight, self.proj.bias)

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.core = nn.LayerNorm(C), self.Core()

    def forward(self, x: Tensor) -> Tensor:
        return self.core(self.norm(x))


class Perceptron(nn.Module):
    """With a layer scale and stochastic depth between its last layer and the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(C), nn.Linear(C, HIDDEN), nn.Linear(HIDDEN, C)
        self.scale = nn.Parameter(0.5 * torch.ones(C))

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc2(F.gelu(self.fc1(self.norm(x)))) * self.scale
        if self.training:
            x = x * x.new_empty(len(x), 1, 1).bernoulli_(0.9).div_(0.9)
        return x


class Normalised(nn.Module):
    """A norm behind the last layer, which makes a constant of zeros: it goes with it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(C, C), nn.LayerNorm(C)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc(x))


class ConvNeXt(nn.Module):
    """On positions: back to an image, a depthwise convolution, linear layers on channels that are last."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(C, C, 3, padding=1, groups=C), nn.LayerNorm(C)
        self.wide, self.narrow = nn.Linear(C, HIDDEN), nn.Linear(HIDDEN, C)
        self.scale = nn.Parameter(torch.ones(C, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        image = x.mT.unflatten(-1, (4, -1))
        image = self.narrow(F.gelu(self.wide(self.norm(self.depthwise(image).permute(0, 2, 3, 1)))))
        return (self.scale * image.permute(0, 3, 1, 2)).flatten(2).mT


class Shifted(nn.Module):
    """Rolled and cut into windows, as Swin does."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.roll(F.pad(x, (0, 0, 0, 2)), -1, 1)
        return torch.roll(self.fc(x.unflatten(1, (2, -1))).flatten(1, 2), 1, 1)[:, :-2].contiguous()


class MBConv(nn.Module):
    """An inverted bottleneck with squeeze-and-excitation by linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.depthwise = nn.Conv2d(C, HIDDEN, 1, bias=False), conv(HIDDEN, HIDDEN, groups=HIDDEN)
        self.down, self.up, self.project = nn.Linear(HIDDEN, 2), nn.Linear(2, HIDDEN), nn.Conv2d(HIDDEN, C, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in (HIDDEN, HIDDEN, C))

    def forward(self, x: Tensor) -> Tensor:
        image = F.silu(self.norms[0](self.expand(x.mT.unflatten(-1, (4, -1)))))
        image = F.silu(self.norms[1](self.depthwise(image)))
        image = image * self.up(self.down(image.mean((2, 3))).relu()).sigmoid()[:, :, None, None]
        return self.norms[2](self.project(image)).flatten(2).mT


class Net(nn.Module):
    """A patch embedding of 4 × 4 positions, residual branches, and a classifier on their mean."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.stem, self.branches, self.head = nn.Conv2d(3, C, 2, 2), nn.ModuleList(branches), nn.Linear(C, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).mT  # (B, N, C)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x.mean(1))


class ClassToken(Net):
    """Only the token is read in the end; with no attention left, it would know nothing of the image."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(*branches)
        self.token = nn.Parameter(torch.randn(1, 1, C))
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.stem(x).flatten(2).mT], 1)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x[:, 0])


# Each branch, its layer that a null removes it by, what of it stays, and the MAdds of what goes. Products of queries,
# keys and values are the model's own code: without a block around them they are still computed, of zeros.
ATTENTION, PRODUCTS = 16 * 4 * C * C, 2 * 16 * 16 * C
BRANCHES: dict[str, tuple[Callable[[], nn.Module], str, set[str], int]] = {
    "attention": (Attention, "proj", set(), ATTENTION),
    "torch's": (Torchs, "attention", set(), ATTENTION),
    "torch's with weights": (lambda: Torchs(weights=True), "attention", set(), ATTENTION + PRODUCTS),
    "functional": (Functional, "core", set(), ATTENTION + PRODUCTS + 1),
    "perceptron": (Perceptron, "fc2", {"scale"}, 2 * 16 * C * HIDDEN),
    "normalised": (Normalised, "fc", set(), 16 * C * C),
    "convnext": (ConvNeXt, "narrow", {"scale"}, 16 * (9 * C + 2 * C * HIDDEN)),
    "shifted": (Shifted, "fc", set(), 18 * C * C),
    "mbconv": (MBConv, "project", set(), 16 * (2 * C * HIDDEN + 9 * HIDDEN) + 4 * HIDDEN),
}


@pytest.fixture(autouse=True)
def slow_path() -> Iterator[None]:
    """FlopCounterMode does not count what nn.MultiheadAttention runs as one operation; natrl does."""
    before = torch.backends.mha.get_fastpath_enabled()
    yield
    torch.backends.mha.set_fastpath_enabled(before)


def counts(model: nn.Module) -> Cost:
    torch.backends.mha.set_fastpath_enabled(False)
    found = counted(model, IMAGES[:1])
    torch.backends.mha.set_fastpath_enabled(True)
    return found


@pytest.mark.parametrize("kind", BRANCHES)
def test_a_branch_goes_in_one_move(kind: str) -> None:
    """With its norms, and at a cost by hand: all of its parameters but a scale behind it, and all of its MAdds."""
    make, last, stays, madds = BRANCHES[kind]
    torch.manual_seed(0)
    model = Net(Perceptron(), make())
    space = natrl.from_module(model, IMAGES[:1])
    before = space.cost(space.architecture)
    assert before == counts(model)
    assert space.reason(f"branches.1.{last}", "null") is None
    removed = space.prune(space.with_operations({f"branches.1.{last}": "null"}))
    after = space.cost(removed)
    network = space.build(removed)
    left = {name for name, _ in network.branches[1].named_parameters()}
    assert left == stays
    params = sum(p.numel() for name, p in model.branches[1].named_parameters() if name not in stays)
    assert (before.params - after.params, before.madds - after.madds) == (params, madds)
    assert after == counts(network)
    with torch.no_grad():
        shorter = Net(Perceptron())
        shorter.load_state_dict({n: p for n, p in model.state_dict().items() if not n.startswith("branches.1.")})
        torch.testing.assert_close(network.eval()(IMAGES), shorter.eval()(IMAGES), atol=1e-5, rtol=1e-5)


SPACES: dict[bool, ModuleSpace] = {}


def space_of(token: bool) -> ModuleSpace:
    if token not in SPACES:
        torch.manual_seed(0)
        kinds = [Attention, Torchs, Functional, Perceptron, *([] if token else [ConvNeXt, Shifted, MBConv])]
        SPACES[token] = natrl.from_module((ClassToken if token else Net)(*(kind() for kind in kinds)), IMAGES[:1])
    return SPACES[token]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), token=st.booleans())
def test_transforms_cost_what_torch_counts_train_and_depend_on_the_input(seed: int, token: bool) -> None:
    space = space_of(token)
    architecture = space.sample(np.random.default_rng(seed))
    network = space.build(architecture, verify=False)
    cost = space.cost(architecture)
    assert counts(network) == cost <= space.cost(space.architecture)
    nn.init.normal_(network.get_submodule("head").weight if hasattr(network.head, "weight") else network.head[1].weight)
    if not token or space.operations(architecture)["branches.3.fc2"] != "null":
        found = network.train()(IMAGES)
        found.square().sum().backward()
    outputs = network.eval()(IMAGES), network(IMAGES + torch.randn_like(IMAGES))
    assert outputs[0].shape == (2, 10)
    assert not torch.equal(*outputs)
    assert network(torch.randn(3, 3, 8, 12)).shape == (3, 10)


@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    style=st.sampled_from(["anew", "nulls", "sparse"]),
    token=st.booleans(),
    mode=st.sampled_from(["strict", "live"]),
)
def test_three_transforms_cost_no_more_and_stay_connected(seed: int, style: str, token: bool, mode: CostMode) -> None:
    """Decoded at once or slot after slot; nulls of all branches at once are among them."""
    space = space_of(token)
    actor, architecture = Actor(space, seed, style), space.architecture
    for decode in (joint, sequential, joint):
        after = space.prune(decode(actor, architecture, space.masks(architecture, cost=mode)))
        assert space.check(after).is_live
        assert space.cost(after) <= space.cost(architecture)
        architecture = after
    network = space.build(architecture, verify=False).eval()
    assert counts(network) == space.cost(architecture)
    unknown = torch.full_like(IMAGES, torch.nan)
    assert network(unknown).isnan().any()  # the output still depends on the input


@pytest.mark.parametrize("token", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_identity_is_exact(token: bool, training: bool) -> None:
    space = space_of(token)
    built, outputs = space.build(space.architecture), []
    for model in (space.model, built):
        torch.manual_seed(1)
        outputs.append(model.train(training)(IMAGES))
    assert torch.equal(*outputs)


def test_a_class_token_keeps_its_last_attention() -> None:
    """Zero weights of a classifier that was not trained do not hide it: NaN times 0 is NaN."""
    space = space_of(token=True)
    cut = {s.name for s in space.slots if space.reason(s.name, "null") == CUT}
    assert cut == {"branches.2.core"}
    assert space.reason("branches.0.proj", "null") is space.reason("branches.1.attention", "null") is None
    nulls = ("branches.0.proj", "branches.1.attention", "branches.3.fc2")
    smallest = space.build(space.prune(space.with_operations(dict.fromkeys(nulls, "null")))).eval()
    nn.init.normal_(smallest.head.weight)
    assert not torch.equal(smallest(IMAGES), smallest(IMAGES + 1))


CUT = "null could cut off what the output knows of the input"


def test_what_stays_says_why() -> None:
    """Attention whose weights something else reads, that gives two tensors, or that has hooks."""

    class Pair(Functional.Core):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            x = super().forward(x)
            return x, x

    class Two(Functional):
        def forward(self, x: Tensor) -> Tensor:
            return self.core(x)[0]

    class Shown(Torchs):
        def forward(self, x: Tensor) -> Tensor:
            x, weights = self.attention(x, x, x)
            return x + weights.mean()

    two, hooked, shown = Two(), Torchs(), Shown()
    two.core = Pair()
    hooked.attention.register_forward_hook(lambda *_: None)
    space = natrl.from_module(Net(two, hooked, shown, Normalised()), IMAGES[:1])
    frozen = {name: why for name, why in space.frozen.items() if name.startswith("branches")}
    assert frozen == {
        "branches.0.core": "it gives more than one tensor",
        "branches.0.core.qkv": "layer 'branches.0.core', which it is part of, stays or goes as a whole",
        "branches.0.core.bias": "layer 'branches.0.core', which it is part of, stays or goes as a whole",
        "branches.0.core.proj": "layer 'branches.0.core', which it is part of, stays or goes as a whole",
        "branches.1.attention": "it has hooks, parametrizations or another forward, which would be lost",
        "branches.1.attention.out_proj": "layer 'branches.1.attention', which it is part of, stays or goes as a whole",
        "branches.2.attention": "the model does not run without it",
        "branches.2.attention.out_proj": "layer 'branches.2.attention', which it is part of, stays or goes as a whole",
    }


def test_a_block_becomes_nothing_but_null() -> None:
    space = space_of(token=False)
    slot = space.slot("branches.1.attention")
    assert (slot.operation, slot.layer, slot.in_shape) == ("block", "MultiheadAttention", (16, C))
    assert (slot.in_channels, slot.out_channels, slot.stride) == (C, C, (1, 1))
    assert slot.cost == Cost(4 * C * C + 4 * C, ATTENTION)
    moves = space.masks(space.architecture)[slot.index]
    assert {p for p, can in zip(space.primitives, moves, strict=True) if can} == {"block", "null"}
    assert "no replacement but null" in space.reason(slot.name, "skip_connect")
    assert space.reason(slot.name, "conv_1x1") == "no rule lets block become conv_1x1"


def test_a_supernet_and_a_stored_network(tmp_path) -> None:  # type: ignore[no-untyped-def]
    space = space_of(token=False)
    supernet = ModuleSupernet(space, IMAGES).eval()
    space.model.eval()
    assert torch.equal(supernet(IMAGES, space.architecture), space.model(IMAGES))
    changes = {"branches.1.attention": "null", "branches.3.fc1": "low_rank_4", "branches.2.core": "null"}
    architecture = space.prune(space.with_operations(changes))
    assert torch.isfinite(supernet(IMAGES, architecture)).all()
    network = space.build(architecture).eval()
    save_module(tmp_path, space, architecture, network)
    assert torch.equal(load_module(space.model, IMAGES[:1], tmp_path).eval()(IMAGES), network(IMAGES))


class Excitation(nn.Module):
    """Squeeze-and-excitation behind the last layer, by linear layers or one that is no slot; or of something else."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.fc, self.norm, self.kind = nn.Linear(C, C), nn.LayerNorm(C), kind
        self.other = nn.Linear(C, C) if kind in ("another layer", "squeezed elsewhere") else nn.Identity()
        self.gates = nn.Sequential(nn.Linear(C, 2), nn.ReLU(), nn.Linear(2, C), nn.Sigmoid())
        self.gates = nn.Conv1d(1, 1, 3, padding=1) if kind == "efficient" else self.gates

    def forward(self, x: Tensor) -> Tensor:
        before, x = x, self.norm(self.fc(x))
        squeezed = x.mean(1, keepdim=True)
        if self.kind == "efficient":
            return self.gates(squeezed.mT.flatten(1)[:, None]).sigmoid() * x
        if self.kind == "squeezed elsewhere":
            return x * self.gates(squeezed) + self.other(squeezed)
        return x * self.gates(before.mean(1, keepdim=True) if self.kind == "of the input" else self.other(squeezed))


@pytest.mark.parametrize("kind", ["usual", "efficient", "another layer"])
def test_zeros_stay_zeros_through_a_gate_that_is_made_of_them(kind: str) -> None:
    torch.manual_seed(0)
    model = Net(Perceptron(), Excitation(kind))
    space = natrl.from_module(model, IMAGES[:1])
    assert space.reason("branches.1.fc", "null") is None
    removed = space.prune(space.with_operations({"branches.1.fc": "null"}))
    network = space.build(removed).eval()
    assert not [name for name, _ in network.branches[1].named_parameters()]
    assert space.cost(removed) == counts(network)
    with torch.no_grad():
        x = model.stem(IMAGES).flatten(2).mT
        wanted = model.head((x + model.eval().branches[0](x)).mean(1))
        torch.testing.assert_close(network(IMAGES), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "ends"), [("of the input", "into mul"), ("squeezed elsewhere", "into layer 'branches.1.other'")]
)
def test_no_null_before_other_gates(kind: str, ends: str) -> None:
    space = natrl.from_module(Net(Perceptron(), Excitation(kind)), IMAGES[:1])
    assert ends in space.reason("branches.1.fc", "null")


class Looks(nn.Module):
    """Its way depends on what a layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        return x if x.mean() > 0 else -x


def test_no_null_where_the_model_looks_at_the_values() -> None:
    space = natrl.from_module(Net(Looks(), Perceptron()), IMAGES[:1])
    assert space.needed_data
    assert space.reason("branches.0.fc", "null").endswith("its output goes into mean")
