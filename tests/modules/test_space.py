"""The space of a network: identity, the promise, and the rest of natrl on it."""

from __future__ import annotations

import pickle
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
import torchvision
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import natrl
import natrl.envs
from natrl.core.connectivity import is_live
from natrl.core.isomorphism import function_key
from natrl.policies import Policy, PolicyConfig, PolicyNetwork
from natrl.search import Reachable
from natrl.spaces import apply_actions
from tests.envs.checks import assert_same, ByName, check_promise, rollout
from tests.modules.networks import Dense, Gated, Joins, Products, Residual, Shared, Slices
from tests.modules.test_rules import counted
from tests.spaces.test_promise import Actor, joint, sequential

IMAGE = torch.zeros(1, 3, 32, 32)
SMALL = (Residual, Dense, Joins, Shared, Slices, Gated, Products)


def timm_model(name: str) -> nn.Module:
    """One of the small networks that timm has for tests."""
    return pytest.importorskip("timm").create_model(name, num_classes=10)


REAL = {
    "resnet": lambda: torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], 10),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(num_classes=10, width_mult=0.25),
    **{f"timm {name}": partial(timm_model, f"test_{name}") for name in ("efficientnet", "byobnet")},
}
STYLES = ("anew", "nulls", "sparse")
MODES = ("strict", "live")
SPACES = {network: natrl.from_module(network(), IMAGE) for network in SMALL}


def outputs(model: nn.Module, training: bool) -> list[torch.Tensor]:
    """What a network gives, and its statistics afterwards."""
    torch.manual_seed(0)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        return [model.train(training)(images), *model.buffers()]


@pytest.mark.parametrize("make", [*SMALL, *REAL.values()], ids=[*(n.__name__ for n in SMALL), *REAL])
def test_identity_is_exact_and_totals_are_torchs(make):
    """The real networks take up to a second each."""
    torch.manual_seed(1)
    model = make().train()
    space = natrl.from_module(model, IMAGE)
    built = space.build(space.architecture)
    assert type(built) is type(model)
    assert built is not model
    for training in (False, True):
        for a, b in zip(outputs(built, training), outputs(model, training), strict=True):
            assert torch.equal(a, b)
    assert space.cost(space.architecture) == counted(model, IMAGE)
    architecture = space.sample(np.random.default_rng(0))
    assert space.cost(architecture) == counted(space.build(architecture), IMAGE)


@given(
    seed=st.integers(0, 2**32 - 1),
    style=st.sampled_from(STYLES),
    network=st.sampled_from(SMALL),
    mode=st.sampled_from(MODES),
)
@settings(max_examples=25)
def test_transforms_run_cost_no_more_and_stay_connected(seed, style, network, mode):
    """Three transforms in a row, decoded at once or slot after slot."""
    space = SPACES[network]
    actor, architecture = Actor(space, seed, style), space.architecture
    for decode in (joint, sequential, joint):
        after = space.prune(decode(actor, architecture, space.masks(architecture, cost=mode)))
        assert space.check(after).is_live
        assert space.cost(after) <= space.cost(architecture)
        architecture = after
    built = space.build(architecture, verify=False)
    assert counted(built, IMAGE) == space.cost(architecture)
    dark, bright = built(IMAGE), built(IMAGE + 1)
    assert dark.shape == space.model(IMAGE).shape
    assert not torch.equal(dark, bright)  # the output still depends on the input


def test_the_rest_of_the_model_stays():
    model = Residual().train()
    model.norm1.eval()
    space = natrl.from_module(model, IMAGE)
    built = space.build(space.with_operations({"conv1": "sep_conv_3x3", "stem": "conv_3x3"}))
    assert isinstance(built.features(IMAGE), torch.Tensor)
    assert isinstance(built.conv1, nn.Sequential)
    assert built.stem.kernel_size == (3, 3)
    assert isinstance(model.conv1, nn.Conv2d)
    assert torch.equal(built.conv2.weight, model.conv2.weight)
    assert built.conv2.weight is not model.conv2.weight
    assert built.conv1.training
    assert not built.norm1.training


def test_what_a_null_leaves_unused_becomes_null_too():
    space = SPACES[Residual]
    raw = space.architecture.with_operations(
        ["null" if e == space.slot("conv2").index else op for e, op in enumerate(space.architecture.operations)]
    )
    pruned = space.prune(raw)
    assert {name for name, op in space.operations(pruned).items() if op == "null"} == {"conv1", "conv2"}
    assert space.cost(pruned).params == space.cost(raw).params - space.slot("conv1").cost.params
    assert counted(space.build(raw), IMAGE) == space.cost(pruned)
    assert space.check(pruned) == pruned
    assert space.prune(space.architecture) == space.architecture


def test_the_last_path_is_kept():
    """Both sides of an addition may become null, but not together."""
    space = SPACES[Residual]
    masks, null = space.masks(space.architecture), space.primitives.index("null")
    actions = np.array([[space.primitives.index(op) for op in space.architecture.operations]])
    actions[0, [space.slot("down2").index, space.slot("shortcut").index]] = null
    applied = apply_actions(space, [space.architecture], actions, masks[None])
    assert applied.invalid.tolist() == [0]
    assert applied.repaired.tolist() == [1]
    assert space.check(applied.architectures[0]).is_live
    with pytest.raises(ValueError, match="nothing would lead from the input of Residual to its output"):
        space.with_operations({"down2": "null", "shortcut": "null"})


def test_wires_are_few():
    """A dense block of n layers has one wire a layer; a chain has none."""
    for layers in (3, 20):
        space = natrl.from_module(Dense(layers), torch.zeros(1, 3, 8, 8))
        assert space.n_slots - len(space.slots) == layers
    assert natrl.from_module(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)), IMAGE).n_slots == 2


def test_slots_say_what_they_are():
    slot = SPACES[Residual].slot("down1")
    assert (slot.operation, slot.stride) == ("conv_3x3", (2, 2))
    assert (slot.in_shape, slot.out_shape) == ((8, 16, 16), (16, 8, 8))
    assert (slot.calls, slot.cost.params, slot.cost.madds) == (1, 8 * 16 * 9 + 16, 8 * 16 * 9 * 64)
    assert (slot.before, slot.after) == (("pool", "conv2"), ("down2",))
    assert SPACES[Residual].slot("stem").before == ("input",)
    assert SPACES[Residual].slot("shortcut").after == ("head",)
    head = SPACES[Residual].slot("head")
    assert (head.operation, head.layer, head.stride, head.after) == ("conv_1x1", "linear", (1, 1), ("output",))
    assert (head.in_shape, head.out_shape, head.in_channels, head.out_channels) == ((16,), (10,), 16, 10)
    stem = SPACES[Residual].slot("stem")
    assert SPACES[Residual].architecture.slots[stem.index].stride == 2


class Otherwise(Residual):
    """As many slots, connected otherwise: the shortcut reads what comes out of the pooling."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stem(x).relu())
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu())) + x
        return (self.down2(self.down1(y).relu()) + self.shortcut(x)).relu()


def test_what_is_no_architecture_of_the_network_is_refused():
    space = SPACES[Residual]
    with pytest.raises(
        ValueError, match="layer 'conv1' of Residual cannot become null: null needs nothing but additions"
    ):
        space.with_operations({"conv1": "null"})
    with pytest.raises(ValueError, match="Residual has no slot 'conv3'; the slots are: "):
        space.with_operations({"conv3": "null"})
    with pytest.raises(ValueError, match="unknown operation 'conv'"):
        space.with_operations({"conv1": "conv"})
    with pytest.raises(ValueError, match="not one of Residual: its slots are connected otherwise"):
        space.check(natrl.from_module(Otherwise(), IMAGE).architecture)
    wire = next(e for e in range(space.n_slots) if e not in {slot.index for slot in space.slots})
    broken = [("null" if e == wire else op) for e, op in enumerate(space.architecture.operations)]
    with pytest.raises(ValueError, match=f"slot {wire} of Residual is a wire and holds skip_connect, not null"):
        space.check(space.architecture.with_operations(broken))
    with pytest.raises(ValueError, match="'network' is a whole network with strides of its own"):
        natrl.network_cost(space.architecture)
    with pytest.raises(ValueError, match="it has no skeleton"):
        space.on(natrl.Skeleton())


def test_architectures_read_back_and_parallel_slots_differ():
    """Two slots between the same nodes differ in channels: exchanging their operations is another network."""

    class Parallel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.thin = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return torch.cat([self.wide(x), self.thin(x)], 1)

    space = natrl.from_module(Parallel(), IMAGE)
    wide, thin = (space.with_operations({name: "conv_1x1"}) for name in ("wide", "thin"))
    assert wide.key != thin.key
    assert function_key(wide) != function_key(thin)
    for architecture in (wide, SPACES[Residual].architecture, *SPACES[Dense].samples(np.random.default_rng(0), 2)):
        assert natrl.parse(architecture.key) == architecture
        assert natrl.Architecture.from_json(architecture.to_json()) == architecture


def test_samples_are_those_of_single_draws():
    space = SPACES[Residual]
    together, one = np.random.default_rng(5), np.random.default_rng(5)
    assert list(space.samples(together, 4)) == [space.sample(one) for _ in range(4)]
    batch = space.samples(together, 50)
    active = batch.choices != space.primitives.index("null")
    assert is_live(active, batch.topologies.wiring).all()
    assert 20 < len({a.key for a in batch}) <= 50


def test_a_space_travels():
    space = natrl.from_module(Residual(), IMAGE)
    other = pickle.loads(pickle.dumps(space))
    architecture = space.sample(np.random.default_rng(2))
    assert (other.masks(architecture) == space.masks(architecture)).all()
    torch.manual_seed(0)
    here = space.build(architecture).eval()(IMAGE)
    torch.manual_seed(0)
    assert torch.equal(other.build(architecture).eval()(IMAGE), here)


@pytest.mark.parametrize("env_id", ["natrl/ArchTransition-v0", "natrl/ArchTransitionSequential-v0"])
def test_environments(env_id):
    env = gymnasium.make(env_id, space=SPACES[Residual], evaluator=ByName(), horizon=2).unwrapped
    check_env(env, skip_render_check=True)
    seen = rollout(env, seed=3, steps=40)
    check_promise(seen, env)
    assert_same(seen, rollout(env, seed=3, steps=40))
    assert any(info["architecture"] != info["initial_architecture"] for *_, info in seen)


def test_the_vector_environment_counts_as_the_space_does():
    space = SPACES[Residual]
    env = gymnasium.make_vec("natrl/ArchTransition-v0", num_envs=8, space=space, evaluator=ByName(), horizon=3)
    _, info = env.reset(seed=0)
    for seed in range(3):
        mask = info["action_mask"]
        _, _, _, _, info = env.step(np.where(mask, np.random.default_rng(seed).random(mask.shape), -1).argmax(-1))
    costs = [space.cost(a) for a in info["architecture"]]
    assert [(c.params, c.madds) for c in costs] == list(zip(info["params"], info["madds"], strict=True))
    env.close()


@pytest.mark.parametrize("head", ["joint", "autoregressive"])
def test_a_policy_goes_from_one_network_to_another(head, tmp_path):
    torch.manual_seed(0)
    config = PolicyConfig(SPACES[Residual].primitives, head, width=16, layers=1)
    policy = Policy(PolicyNetwork(config), SPACES[Residual])
    policy.save(tmp_path)
    with pytest.raises(ValueError, match="unknown space 'Residual'"):
        natrl.load_policy(tmp_path)
    for network in (Residual, Dense, Joins):
        space = SPACES[network]
        here = natrl.load_policy(tmp_path, space=space)
        found = here.transform(space.architecture, n=5, evaluator=ByName(), seed=1)
        assert len(found) > 3
        assert np.isfinite(found.log_probabilities).all()
        for architecture, cost in zip(found.architectures, found.costs, strict=True):
            assert space.check(architecture).is_live
            assert cost == space.cost(architecture) <= space.cost(space.architecture)
            assert space.prune(architecture) == architecture
    by_budget = policy.transform(SPACES[Residual].architecture, n=5, max_madds="60%")
    assert by_budget.costs[by_budget.best_index].madds <= 0.6 * by_budget.costs[0].madds
    saved = natrl.Cost.total(change.saving for change in by_budget.changes())
    assert saved + by_budget.costs[by_budget.best_index] == by_budget.costs[0]
    assert natrl.load_policy(tmp_path, space="darts").space is natrl.space("darts")
    with pytest.raises(ValueError, match="the smallest reachable cost is"):
        policy.transform(SPACES[Residual].architecture, max_madds="1%")


def test_searches_reach_the_same():
    space = SPACES[Residual]
    reachable = Reachable(space, space.architecture)
    neighbours = reachable.neighbours(space.architecture)
    assert len(neighbours) == space.masks(space.architecture).sum() - space.n_slots
    assert all(space.check(a).is_live for a in reachable.sample(20, np.random.default_rng(0)))
