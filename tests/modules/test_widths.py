"""Groups of channels as slots: which there are, what fewer of them cost, and what they keep."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn, Tensor
from torchvision.models.efficientnet import MBConv, MBConvConfig
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock

import natrl
from natrl.core.moves import move_of, moves_from
from natrl.core.operations import Cost, VOCABULARY_INDEX
from natrl.export.module_code import module_code
from natrl.modules.inherit.inheritance import Inheritance
from natrl.modules.inherit.least_squares import fit_layer
from natrl.modules.inherit.reference import Reference
from natrl.modules.network_supernet import ModuleSupernet
from natrl.modules.replace.widths import narrowed, Narrowing, sizes_of
from natrl.modules.saved import load_module, save_module
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig, PolicyNetwork
from natrl.search import Reachable
from natrl.search.combinations import best_combinations
from natrl.search.replacements import Replacements
from natrl.spaces import Batch
from natrl.spaces.budget import Budget
from natrl.tuning.optimize.result import layer_changes
from tests.modules.test_rules import counted


class Chain(nn.Module):
    """Convolutions one after the other, and a linear layer that reads the last one's pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.pool = nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.MaxPool2d(2)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        return self.head(self.pool(self.second(x).relu()).flatten(1))


class Mlp(nn.Module):
    """A transformer's block without its attention, on pixels as positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.wide, self.narrow, self.head = nn.Linear(12, 48), nn.Linear(48, 12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).mT
        x = x + self.narrow(nn.functional.gelu(self.wide(self.norm(x))))
        return self.head(x.mean(1))


def _resnet() -> nn.Module:
    shortcut = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    stem = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*stem, BasicBlock(8, 8), BasicBlock(8, 16, 2, shortcut), *_head(16))


def _mobilenet() -> nn.Module:
    stem = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
    return nn.Sequential(*stem, InvertedResidual(8, 8, 1, 4), InvertedResidual(8, 12, 2, 6), *_head(12))


def _efficientnet() -> nn.Module:
    """A block whose channels two layers make: the one that expands, and the gate's last one."""
    settings = MBConvConfig(4, 3, 1, 8, 8, 1)
    stem = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.SiLU()
    return nn.Sequential(*stem, MBConv(settings, 0.0, nn.BatchNorm2d), *_head(8))


def _head(channels: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)


NETWORKS = {
    "chain": Chain,
    "mlp": Mlp,
    "resnet": _resnet,
    "mobilenet": _mobilenet,
    "efficientnet": _efficientnet,
}


@cache
def _space(name: str, moves: str = "all") -> ModuleSpace:
    torch.manual_seed(0)
    return natrl.from_module(NETWORKS[name]().eval(), torch.rand(2, 3, 8, 8), moves=moves)


def test_costs_by_hand() -> None:
    """first: 3·9·a + a, norm: 2·a, second: 9·a·b, head: 16·10·b + 10; on 8×8 pixels."""
    space = _space("chain", "widths")
    assert [(w.name, dict(w.sizes)) for w in space.widths] == [
        ("first.channels", {"channels": 8, "channels_3_4": 6, "channels_1_2": 4, "channels_1_4": 2}),
        ("second.channels", {"channels": 16, "channels_3_4": 12, "channels_1_2": 8, "channels_1_4": 4}),
    ]
    assert dict(space.widths[1].group.consumers) == {"head": 16}
    assert space.frozen["head.channels"] == "no layer besides reads its channels: they are the network's output"
    for first, a in space.widths[0].sizes.items():
        for second, b in space.widths[1].sizes.items():
            architecture = space.with_operations({"first.channels": first, "second.channels": second})
            params = 28 * a + 2 * a + 9 * a * b + 160 * b + 10
            assert space.cost(architecture) == Cost(params, 64 * (27 * a + 9 * a * b) + 160 * b)
            assert space.layer_cost("second", architecture) == Cost(9 * a * b, 64 * 9 * a * b)
            assert space.cost(architecture) <= space.cost_table(architecture).cost(architecture)
    both = space.with_operations({"first.channels": "channels_1_2", "second.channels": "channels_1_2"})
    bound, cost = space.cost_table(both).cost(both), space.cost(both)
    assert bound.madds == cost.madds  # at the same step at both ends the table is exact


@pytest.mark.parametrize("name", NETWORKS)
def test_transformations_cost_what_torch_counts_and_run_and_train(name: str) -> None:
    """Some seconds: networks are built, counted and trained one after the other."""
    space, rng = _space(name), np.random.default_rng(0)
    model, x = space.model, space.example[0]
    narrower = 0
    torch.testing.assert_close(space.build(space.architecture).eval()(x), model(x), rtol=0, atol=0)
    for _ in range(3):
        architecture = space.sample(rng)
        network = space.build(architecture)
        narrower += any(op.startswith("channels_") for op in architecture.operations)
        assert type(network) is type(model)
        assert space.cost(architecture) == counted(network.eval(), x[:1])
        assert space.cost(architecture) <= space.cost_table(architecture).cost(architecture)
        network.train()(x).sum().backward()
        assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    assert narrower


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(NETWORKS)), st.integers(0, 2**32 - 1))
def test_no_transform_costs_more_than_what_it_started_from(name: str, seed: int) -> None:
    """One step after another, under strict masks."""
    space, rng = _space(name), np.random.default_rng(seed)
    batch = Batch.of(space, [space.architecture])
    for _ in range(4):
        masks = batch.masks()
        drawn = (rng.random(masks.shape) * masks).argmax(-1)
        box = Reachable(space, batch[0])
        made, rows = box.carried_out(drawn)
        if not len(rows):
            return
        assert (made.costs[0] <= batch.costs[0]).all()
        batch = made


@pytest.mark.parametrize(("name", "share"), [("chain", "90%"), ("chain", "60%"), ("chain", "40%"), ("resnet", "50%")])
def test_a_policy_keeps_to_a_budget(name: str, share: str) -> None:
    """By masks alone: its weights are random."""
    space = _space(name)
    torch.manual_seed(0)
    policy = Policy(PolicyNetwork(PolicyConfig(space.primitives, width=16)), space)
    _, *found = policy.transform(space.architecture, n=20, max_madds=share).architectures
    limit = float(share[:-1]) / 100 * space.cost(space.architecture).madds
    assert all(space.cost(candidate).madds <= limit for candidate in found)
    assert any(op.startswith("channels_") for candidate in found for op in candidate.operations)


def test_a_policy_with_budgets_is_told_what_prices_leave() -> None:
    """Its masks keep to sums of prices; what it proposes keeps to the budget, and comes nearer than by these alone."""
    space = _space("chain")
    limit = space.cost(space.architecture).madds * 0.3
    most_probable = []
    for seed in range(4):
        torch.manual_seed(seed)
        policy = Policy(PolicyNetwork(PolicyConfig(space.primitives, width=16, budget=("madds",))), space)
        for space.prices_are_bounds in (False, True):
            _, *found = policy.transform(space.architecture, n=5, max_madds="30%").architectures
            assert all(space.cost(candidate).madds <= limit for candidate in found)
            most_probable.append(space.cost(found[0]).madds)
    wary, told = np.reshape(most_probable, (4, 2)).T
    assert (told >= wary).all()
    assert told.sum() > 1.5 * wary.sum()


@pytest.mark.parametrize("name", ["chain", "mlp", "resnet", "efficientnet"])
def test_prices_are_costs_whose_sums_are_no_less_than_the_whole(name: str) -> None:
    """Environments with budgets observe them: none is below 0."""
    space = _space(name)
    table, rng = space.cost_table(space.architecture), np.random.default_rng(0)
    columns = [VOCABULARY_INDEX[op] for op in space.primitives]
    assert (table.slots >= 0).all()
    for architecture in (space.architecture, *space.samples(rng, 20)):
        choices = Batch.of(space, [architecture]).choices[0]
        prices = table.slots[np.arange(space.n_slots), np.array(columns)[choices]].sum(0)
        cost = space.cost(architecture)
        assert table.fixed.params + prices[0] >= cost.params
        assert table.fixed.madds + prices[1] >= cost.madds


def test_the_best_combination_keeps_to_a_budget_that_needs_widths_and_types() -> None:
    space = _space("chain")
    replacements = Replacements(Reachable(space, space.architecture))
    effects = -np.ones(len(replacements))
    budget = Budget(madds=space.cost(space.architecture).madds // 8)
    (found,) = best_combinations(replacements, effects, budget)
    assert space.cost(found.architecture).madds <= budget.madds


class Added(nn.Module):
    """A layer that reads the channels which it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer, self.head = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head((x + self.layer(x.relu())).mean((2, 3)))


def test_a_layer_that_reads_the_channels_which_it_makes_can_be_what_needs_as_many_of_both() -> None:
    """A skip or a pooling, at every width: both of its ends have the same."""
    space = natrl.from_module(Added().eval(), torch.rand(2, 3, 8, 8), moves="all")
    (width,) = space.widths
    assert list(width.group.producers) == ["stem", "layer"]
    for op in ("conv_3x3", "skip_connect", "avg_pool_3x3", "sep_conv_3x3", "null"):
        for share in width.sizes:
            architecture = space.with_operations({"layer": op, width.name: share})
            network = space.build(architecture).eval()
            assert space.cost(architecture) == counted(network, space.example[0][:1])
            assert space.cost(architecture) <= space.cost_table(architecture).cost(architecture)


def test_fewer_channels_give_what_the_network_gives_without_reading_the_others() -> None:
    for name in NETWORKS:
        space = _space(name)
        architecture = space.with_operations({width.name: [*width.sizes][-1] for width in space.widths})
        x = space.example[0]
        supernet = ModuleSupernet(space, x).eval()
        torch.testing.assert_close(supernet(x, space.architecture), space.model(x), rtol=0, atol=0)
        torch.testing.assert_close(supernet(x, architecture), space.build(architecture).eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [nn.Linear(16, 5), nn.Conv2d(16, 5, 3, padding=1), nn.Conv2d(16, 5, 1, bias=False)])
def test_least_squares_make_up_for_channels_that_are_gone(layer: nn.Conv2d | nn.Linear) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 6, 6, 16) @ torch.randn(16, 16)  # channels that know of each other
    x = x if isinstance(layer, nn.Linear) else x.permute(0, 3, 1, 2)
    kept = torch.arange(0, 16, 2)
    plain = narrowed(layer, kept, None)
    fitted = narrowed(layer, kept, None)
    read = x[..., kept] if isinstance(layer, nn.Linear) else x[:, kept]
    fit_layer(plain, fitted, read, Reference(layer, [""], x).layers[""])  # type: ignore[arg-type]
    with torch.no_grad():
        errors = [float((module(read) - layer(x)).pow(2).mean()) for module in (plain, fitted)]
    assert errors[1] < 0.75 * errors[0]


def test_inherited_weights_are_fitted_where_fewer_channels_are_read() -> None:
    space = _space("mlp")
    torch.manual_seed(1)
    x = torch.randn(64, 3, 8, 8)
    architecture = space.with_operations({"wide.channels": "channels_1_2", "narrow": "low_rank_4"})
    inherit = Inheritance(space, x, seed=0, device=torch.device("cpu"))
    lower = space.with_operations({"wide.channels": "channels_1_2"})
    with torch.no_grad():
        errors = [float((net.eval()(x) - space.model(x)).norm()) for net in (space.build(lower), inherit(lower))]
        assert inherit(architecture).eval()(x).shape == (64, 10)
    assert errors[1] < errors[0]


def test_layers_that_only_give_fewer_channels_make_up_for_what_changed_before_them_too() -> None:
    """Of the second convolution's, which reads what the first one gives, there are fewer."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10)),
    ).eval()
    x = torch.randn(64, 3, 8, 8)
    space = natrl.from_module(model, x[:2], moves="all")
    width = next(width.name for width in space.widths if width.name.startswith("2"))
    architecture = space.with_operations({"0": "conv_1x1", width: "channels_3_4"})
    network = Inheritance(space, x, seed=0, device=torch.device("cpu"))(architecture)
    given, wanted = network[:3](x), model[:3](x)[:, space.ends(architecture)["2"][1]]
    plain = space.narrowed(architecture)["2"](network[:2](x))
    assert nn.functional.mse_loss(given, wanted) < 0.9 * nn.functional.mse_loss(plain, wanted)


def test_a_narrower_network_is_saved_loaded_and_written_as_code(tmp_path) -> None:  # type: ignore[no-untyped-def]
    space = _space("resnet")
    changes = {"4.conv1.channels": "channels_1_2", "4.conv2": "sep_conv_3x3"}
    architecture = space.with_operations(changes)
    network = space.build(architecture).eval()
    save_module(tmp_path, space, architecture, network)
    loaded = load_module(_resnet(), space.example[0], tmp_path).eval()
    x = space.example[0]
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)
    assert "BatchNorm2d(8" in module_code(network, (x,))
    changed = {change.name: change for change in layer_changes(space, architecture) if change.changed}
    assert {name: change.after for name, change in changed.items()} == {
        "4.conv1": "conv_3x3, outputs 16 → 8",
        "4.conv2": "sep_conv_3x3, inputs 16 → 8",
    }
    assert changed["4.conv1"].new_cost.params == 8 * 8 * 9


def test_layers_whose_outputs_are_added_or_multiplied_share_a_width() -> None:
    found = {width.name: width.group for width in _space("resnet").widths}
    assert {name: dict(group.producers) for name, group in found.items()} == {
        "0.channels": {"0": ("1",), "3.conv2": ("3.bn2",)},
        "3.conv1.channels": {"3.conv1": ("3.bn1",)},
        "4.conv1.channels": {"4.conv1": ("4.bn1",)},
        "4.conv2.channels": {"4.conv2": ("4.bn2",), "4.downsample.0": ("4.downsample.1",)},
    }
    assert dict(found["0.channels"].consumers) == {"3.conv1": 1, "4.conv1": 1, "4.downsample.0": 1}
    gated = {width.name: width.group for width in _space("efficientnet").widths}["3.block.0.0.channels"]
    assert list(gated.producers) == ["3.block.0.0", "3.block.2.fc2"]
    assert dict(gated.consumers) == {"3.block.2.fc1": 1, "3.block.3.0": 1}
    assert "3.block.1.0" in gated.followers, "depthwise"


@pytest.mark.parametrize("gone", ["3.conv2", "4.conv2", "4.downsample.0"])
def test_a_width_holds_where_one_of_the_layers_that_make_its_channels_is_gone(gone: str) -> None:
    space, narrow = _space("resnet"), ("0.channels", "4.conv2.channels")
    architecture = space.prune(space.with_operations(dict.fromkeys(narrow, "channels_1_2") | {gone: "null"}))
    assert all(space.operations(architecture)[name] == "channels_1_2" for name in narrow)
    network = space.build(architecture).eval()
    assert space.cost(architecture) == counted(network, space.example[0][:1])
    assert [network[0].out_channels, network[-1].in_features] == [4, 8]


def test_channels_stay_that_count_least_in_all_that_makes_and_reads_them() -> None:
    """Two layers make them: √(3² + 4²) against √(5² + 1²); the first is read less."""
    model = nn.Sequential(BasicBlock(2, 2), *_head(2)).eval()
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), *model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for made, weights in ((model[0], (3.0, 5.0)), (model[1].conv2, (4.0, 1.0))):
            made.weight[:, 0].flatten(1)[:, 0] = torch.tensor(weights)
        for norm in (model[1].bn1, model[1].bn2):
            norm.weight.fill_(1 + norm.eps)
            norm.running_var.fill_((1 + norm.eps) ** 2 - norm.eps)
        model[-1].weight[0] = torch.tensor([1.0, 0.99])
    space = natrl.from_module(model, torch.rand(2, 1, 4, 4), moves="widths")
    for second, kept in ((0.99, 1), (0.97, 0)):  # 5 · 1 against √26 · second
        with torch.no_grad():
            space.model[-1].weight[0, 1] = second
        ends = Narrowing(space.model, space.widths).ends(dict.fromkeys([w.name for w in space.widths], "channels_3_4"))
        assert ends["0"][1].tolist() == [kept]  # type: ignore[union-attr]


class Ways(nn.Module):
    """Two sums of one group, each with a reader of its own: what stands after one of them may go without the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.one, self.both = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = x + self.second(x.relu())
        return self.one(x.mean((2, 3))) + self.both(y.mean((2, 3)))


def test_what_ties_channels_is_said() -> None:
    ways = natrl.from_module(Ways().eval(), torch.rand(2, 3, 8, 8), moves="all")
    assert not ways.widths
    assert ways.frozen["second.channels"] == "layers of its group reach the output on several ways"
    assert _space("mlp").frozen["embed.channels"] == "'norm' reads its channels, and stays as it is"
    assert not _space("resnet", "types,kernels").widths
    with pytest.raises(ValueError, match="it has 8 channels, and the widths channels \\(8\\), channels_3_4"):
        _space("chain").with_operations({"first.channels": "conv_1x1"})
    with pytest.raises(ValueError, match="layer 'first' of Chain cannot become channels_1_2: channels_1_2 takes the"):
        _space("chain").with_operations({"first": "channels_1_2"})
    assert _space("chain").reason("first.channels", "channels", held="channels_1_2") == (
        "no rule lets channels_1_2 become channels"
    )


class Gated(nn.Module):
    """Halves of one layer's channels, each read elsewhere: multiplied, or by a layer of its own."""

    def __init__(self, together: bool) -> None:
        super().__init__()
        self.together, self.wide = together, nn.Linear(6, 16)
        self.narrow, self.other = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.wide(x).chunk(2, -1)
        return self.narrow(value * gate.sigmoid()) if self.together else self.narrow(value) + self.other(gate)


@pytest.mark.parametrize("together", [True, False])
def test_halves_of_channels_stay(together: bool) -> None:
    space = natrl.from_module(Gated(together), torch.randn(2, 6), moves="all")
    assert not space.widths
    assert "reads others besides its channels" in space.frozen["wide.channels"]


def test_sizes_are_multiples() -> None:
    assert sizes_of(64, 8) == {"channels": 64, "channels_3_4": 48, "channels_1_2": 32, "channels_1_4": 16}
    assert sizes_of(24, 8) == {"channels": 24, "channels_3_4": 16, "channels_1_2": 8}
    assert sizes_of(3, 1) == {"channels": 3, "channels_3_4": 2, "channels_1_2": 1}
    assert sizes_of(8, 8) == {"channels": 8}


def test_moves_restrict_what_may_change() -> None:
    assert move_of("conv_5x5", "conv_3x3") == {"kernels"}
    assert move_of("conv_5x5", "sep_conv_3x3") == {"types", "kernels"}
    assert move_of("conv_1x1", "low_rank_4") == {"ranks"}
    assert move_of("block", "null") == {"branches"}
    assert moves_from("widths, types") == {"widths", "types"}
    only = _space("chain", "widths")
    assert {p for p, can in zip(only.primitives, only.masks(only.architecture).any(0), strict=True) if can} >= {
        "channels_1_2"
    }
    assert only.reason("first", "sep_conv_3x3") == "moves leave out types"
    with pytest.raises(ValueError, match=r"unknown moves 'width'; known: types, .*, widths, or all"):
        moves_from("width")
