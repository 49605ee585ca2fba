"""The policy network: decoding against enumeration, teacher forcing, liveness, transfer, configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from ray import cloudpickle
from torch import Tensor

from natrl.core.architecture import Architecture
from natrl.core.operations import PRIMITIVES
from natrl.core.transitions import is_transition, operation
from natrl.policies import BMSoftmax, PolicyConfig, PolicyNetwork
from natrl.policies.bmsoftmax import MASKED
from natrl.policies.heads import JointHead
from natrl.spaces import space
from tests.policies.observations import HEADS, network, observe, policy, samples, small, SMALL_PRIMITIVES

heads = pytest.mark.parametrize("head", HEADS)


def log_prob(net: PolicyNetwork, obs: dict[str, Tensor], actions: Tensor) -> Tensor:
    logits = net.evaluate(obs, actions)
    return BMSoftmax.from_masked(logits.flatten(1), logits.shape[1]).log_prob(actions)


def repeat(obs: dict[str, Tensor], n: int) -> dict[str, Tensor]:
    return {name: tensor.expand(n, *tensor.shape[1:]) for name, tensor in obs.items()}


def enumerated(net: PolicyNetwork, architecture: Architecture) -> tuple[list[Architecture], Tensor]:
    """All K^E actions as architectures, and the probability that the network gives each of them."""
    actions = torch.tensor(list(product(range(len(SMALL_PRIMITIVES)), repeat=len(architecture.operations))))
    results = [architecture.with_operations([SMALL_PRIMITIVES[k] for k in row]) for row in actions.tolist()]
    obs = repeat(observe([architecture], SMALL_PRIMITIVES), len(actions))
    return results, log_prob(net, obs, actions).detach().double()


ORIGINALS = [
    small("conv_3x3", "conv_3x3", "conv_3x3", "conv_3x3", "conv_3x3"),
    small("conv_3x3", "null", "null", "conv_3x3", "skip_connect"),  # one path
    small("null", "skip_connect", "conv_3x3", "skip_connect", "conv_3x3"),
    small("null", "conv_3x3", "conv_3x3", "conv_3x3", "null"),  # dead
]


def is_legal(before: Architecture, after: Architecture) -> bool:
    """Each slot follows the rule, and the result is live if the original is."""
    pairs = zip(before.operations, after.operations, strict=True)
    return all(is_transition(operation(a), operation(b)) for a, b in pairs) and (after.is_live or not before.is_live)


@pytest.mark.parametrize("architecture", ORIGINALS, ids=str)
def test_autoregressive_probabilities_sum_to_one_over_exactly_the_legal_results(architecture: Architecture) -> None:
    results, logs = enumerated(network(SMALL_PRIMITIVES, "autoregressive"), architecture)
    legal = torch.tensor([is_legal(architecture, result) for result in results])
    assert logs[legal].exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert (logs[legal] > -100).all()
    assert (logs[~legal] <= MASKED / 2).all()


@pytest.mark.parametrize("head", ["joint", "lstm"])
def test_independent_probabilities_sum_to_one_over_what_the_rule_allows(head: str) -> None:
    architecture = ORIGINALS[1]
    results, logs = enumerated(network(SMALL_PRIMITIVES, head), architecture)
    allowed = torch.tensor(
        [
            all(
                is_transition(operation(a), operation(b))
                for a, b in zip(architecture.operations, r.operations, strict=True)
            )
            for r in results
        ]
    )
    assert logs[allowed].exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert (logs[~allowed] <= MASKED / 2).all()


@heads
def test_samples_come_as_often_as_their_probabilities_say(head: str) -> None:
    net, n = network(SMALL_PRIMITIVES, head), 20_000
    results, logs = enumerated(net, ORIGINALS[1])
    obs = repeat(observe([ORIGINALS[1]], SMALL_PRIMITIVES), n)
    with torch.no_grad():
        actions, _, _ = net.sample(obs, generator=torch.Generator().manual_seed(0))
    codes = (actions * 3 ** torch.arange(4, -1, -1)).sum(-1)
    frequencies = torch.bincount(codes, minlength=len(results)) / n
    torch.testing.assert_close(frequencies.double(), logs.exp(), atol=0.015, rtol=0)


@heads
@pytest.mark.parametrize("name", ["darts", "enas", "nasbench201"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_teacher_forcing_repeats_the_logits_of_sampling(head: str, name: str, deterministic: bool) -> None:
    p = policy(name, head)
    obs = p.observe(samples(name, 32))
    with torch.no_grad():
        actions, logits, logs = p.network.sample(obs, deterministic, torch.Generator().manual_seed(1))
        again = p.network.evaluate(obs, actions)
    assert actions.dtype == torch.int64
    torch.testing.assert_close(logits, again, atol=1e-4, rtol=1e-4)
    assert torch.equal(logits == MASKED, again == MASKED)
    torch.testing.assert_close(logs, log_prob(p.network, obs, actions), atol=1e-3, rtol=1e-4)
    assert obs["action_mask"].gather(-1, actions[..., None]).all()
    if deterministic:
        assert torch.equal(actions, BMSoftmax.from_masked(logits.flatten(1), logits.shape[1]).mode())


@heads
def test_only_the_autoregressive_head_conditions_and_only_on_slots_before(head: str) -> None:
    net = network(PRIMITIVES, head)
    obs = observe(samples("darts", 4), PRIMITIVES)
    own = (obs["ops"].unsqueeze(-1) == net.primitives).int().argmax(-1)
    changed = own.clone()
    changed[:, 6] = PRIMITIVES.index("skip_connect")
    a, b = net.evaluate(obs, own), net.evaluate(obs, changed)
    torch.testing.assert_close(a[:, :7], b[:, :7], atol=1e-5, rtol=1e-5)
    later = (a[:, 7:] - b[:, 7:]).abs().amax((1, 2)) > 1e-3
    different = (own != changed).any(-1)
    assert different.any()
    assert torch.equal(later, different if head == "autoregressive" else torch.zeros_like(different))


@pytest.mark.parametrize("name", ["darts", "enas", "nasbench201"])
def test_autoregressive_actions_need_no_repair(name: str) -> None:
    p = policy(name, "autoregressive", seed=3)
    null = p.space.primitives.index("null")
    with torch.no_grad():
        p.network.head.scorer.operations.of_type.weight[6] += 100.0  # null, as often as it is allowed
    originals = samples(name, 64)
    with torch.no_grad():
        actions, _, _ = p.network.sample(p.observe(originals), generator=torch.Generator().manual_seed(0))
    names = p.space.primitives
    results = [a.with_operations([names[k] for k in row]) for a, row in zip(originals, actions.tolist(), strict=True)]
    assert all(result.is_live for result in results)
    assert (actions == null).any()


@heads
def test_an_architecture_is_treated_alike_in_every_batch(head: str) -> None:
    p = policy("darts", head)
    architectures = samples("darts", 16)
    obs = p.observe(architectures)
    actions, logits, _ = p.network.sample(obs, deterministic=True)
    values = p.network.value(obs)
    order = torch.randperm(16)
    shuffled = {name: tensor[order] for name, tensor in obs.items()}
    torch.testing.assert_close(p.network.sample(shuffled, deterministic=True)[1], logits[order], atol=1e-4, rtol=1e-4)
    for i in (0, 7):
        alone = p.observe([architectures[i]])
        own_actions, own_logits, _ = p.network.sample(alone, deterministic=True)
        assert torch.equal(own_actions[0], actions[i])
        torch.testing.assert_close(own_logits[0], logits[i], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(p.network.value(alone)[0], values[i], atol=1e-4, rtol=1e-4)


@heads
def test_parameters_depend_on_no_space(head: str) -> None:
    shapes = [
        {key: tuple(value.shape) for key, value in PolicyNetwork(PolicyConfig(p, head)).state_dict().items()}
        for p in (SMALL_PRIMITIVES, PRIMITIVES, space("nao").primitives)
    ]
    assert shapes[0] == shapes[1] == shapes[2]


@heads
def test_a_network_scores_an_operation_alike_among_other_primitives(head: str) -> None:
    """Logits of shared primitives are equal where the masks allow the same."""
    net = network(PRIMITIVES, head)
    fewer = tuple(reversed(space("nasbench201").primitives))
    other = net.with_primitives(fewer)
    obs = observe(samples("nasbench201", 8), fewer)
    wide = dict(obs)
    columns = torch.tensor([PRIMITIVES.index(p) for p in fewer])
    wide["action_mask"] = torch.zeros(8, 6, len(PRIMITIVES), dtype=torch.bool)
    wide["action_mask"][..., columns] = obs["action_mask"]
    actions, logits, _ = other.sample(obs, deterministic=True)
    torch.testing.assert_close(net.evaluate(wide, columns[actions])[..., columns], logits, atol=1e-4, rtol=1e-4)


@heads
def test_observations_of_any_dtype(head: str) -> None:
    net = network(PRIMITIVES, head)
    obs = observe(samples("darts", 4), PRIMITIVES)
    actions, logits, _ = net.sample(obs, deterministic=True)
    for dtype in (torch.float32, torch.float64, torch.int16):
        features = obs["features"] if dtype == torch.int16 else obs["features"].to(dtype)
        same = {name: tensor.to(dtype) for name, tensor in obs.items()} | {"features": features}
        assert torch.equal(net.sample(same, deterministic=True)[1], logits)
        assert torch.equal(net.evaluate(same, actions.to(dtype)), net.evaluate(obs, actions))
        assert torch.equal(net.value(same), net.value(obs))


@heads
def test_a_penalty_is_subtracted_from_the_logits(head: str) -> None:
    net = network(PRIMITIVES, head)
    obs = observe(samples("darts", 4), PRIMITIVES)
    penalty = torch.zeros(4, 16, len(PRIMITIVES))
    penalty[:, 2, PRIMITIVES.index("skip_connect")] = -1000
    actions, _, _ = net.sample(obs, deterministic=True, penalty=penalty)
    assert (actions[:, 2] == PRIMITIVES.index("skip_connect")).all()


@heads
def test_every_parameter_learns(head: str) -> None:
    """Policy and value losses reach all parameters; the value reaches the critic alone."""
    net = network(PRIMITIVES, head)
    obs = observe(samples("darts", 32), PRIMITIVES)
    actions = net.sample(obs)[0]
    log_prob(net, obs, actions).sum().backward()
    assert all((p.grad is None) == name.startswith("critic.") for name, p in net.named_parameters())
    net.value(obs).sum().backward()
    silent = {name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    assert not silent


@heads
def test_the_number_of_transforms_left_is_seen_where_there_are_several(head: str) -> None:
    """Before the last one it adds nothing: such a policy acts there as one that knows of one transform only."""
    one = network(PRIMITIVES, head)
    two = PolicyNetwork(replace(one.config, horizon=3))
    two.load_state_dict(one.state_dict(), strict=False)
    obs = observe(samples("darts", 8), PRIMITIVES)
    assert torch.equal(two.value(obs | {"left": torch.full((8,), 3)}), two.value(obs))  # not learned yet
    for part in (two.encoder, two.critic.encoder):
        torch.nn.init.normal_(part.embedding.left, generator=torch.Generator().manual_seed(0))
    actions = one.sample(obs)[0]
    for ask in (lambda net, obs: net.evaluate(obs, actions), lambda net, obs: net.value(obs)):
        values = [ask(two, obs | {"left": torch.full((8,), n)}) for n in (1, 2, 3)]
        assert torch.equal(values[0], ask(one, obs))
        assert torch.equal(values[0], ask(two, obs))
        assert not torch.allclose(values[1], values[0])
        assert not torch.allclose(values[2], values[1])
    with pytest.raises(ValueError, match=r"left must be \(B,\) = \(8,\), got \(\)"):
        two.value(obs | {"left": torch.tensor(1)})


def test_shapes_that_do_not_fit() -> None:
    net = network(PRIMITIVES, "joint")
    obs = observe(samples("darts", 2), PRIMITIVES)
    with pytest.raises(ValueError, match=r"action_mask must be \(B, E, K\) = \(2, 16, 13\), got \(2, 16, 5\)"):
        net.sample(obs | {"action_mask": obs["action_mask"][..., :5]})
    with pytest.raises(ValueError, match=r"must be \(B, E\), \(B, E, E\), \(B, E, 26\), got \(2, 16\), \(2, 16\)"):
        net.value(obs | {"adjacency": obs["adjacency"][:, 0]})


def test_configuration_as_json() -> None:
    config = PolicyConfig(("none", "conv_3x3"), head="lstm", width=8, layers=1)
    assert config.primitives == ("null", "conv_3x3")
    assert PolicyConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert {config: 1}[PolicyConfig(["null", "conv_3x3"], "lstm", 8, 1)] == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "transformer"}, "unknown head 'transformer'; known: joint, autoregressive, lstm"),
        ({"width": 0}, "width must be a whole number from 1 to 4096, got 0"),
        ({"layers": 1.5}, "layers must be a whole number from 1 to 64, got 1.5"),
        ({"keep": "much"}, "keep must be a finite number, got 'much'"),
        ({"keep": float("inf")}, "keep must be a finite number, got inf"),
        ({"primitives": ["conv_9x9"]}, "unknown operation 'conv_9x9'"),
        ({"primitives": []}, "primitives must be different operations, at least one"),
        ({"primitives": ["null", "none"]}, "primitives must be different operations"),
        ({"primitives": "null"}, "primitives must be a list of operation names"),
        ({"dropout": 0.1}, "a policy configuration has exactly the entries head, keep, layers, primitives, width"),
    ],
)
def test_malformed_configurations(changes: dict[str, Any], message: str) -> None:
    document = PolicyConfig(PRIMITIVES).to_dict() | changes
    with pytest.raises(ValueError, match=message):
        PolicyConfig.from_dict(document)


@heads
def test_fresh_networks_start_nearly_uniform(head: str) -> None:
    """So that the first samples explore everything the masks allow."""
    torch.manual_seed(0)
    net = PolicyNetwork(PolicyConfig(PRIMITIVES, head))
    with torch.no_grad():
        _, logits, _ = net.sample(observe(samples("darts", 64), PRIMITIVES))
    d = BMSoftmax.from_masked(logits.flatten(1), 16)
    torch.testing.assert_close(d.entropy(), d.mask.sum(-1).log().sum(-1), rtol=1e-2, atol=0)


@heads
def test_keep_raises_the_logit_of_the_operation_that_a_slot_holds(head: str) -> None:
    torch.manual_seed(0)
    net = PolicyNetwork(PolicyConfig(PRIMITIVES, head, keep=5.0))
    obs = observe(samples("darts", 64), PRIMITIVES)
    own = (obs["ops"].unsqueeze(-1) == net.primitives).int().argmax(-1)
    with torch.no_grad():
        logits = net.evaluate(obs, own)
    d = BMSoftmax.from_masked(logits.flatten(1), 16)
    weight = torch.tensor(5.0).exp()
    torch.testing.assert_close(d.slot_log_prob(own).exp(), weight / (weight + d.mask.sum(-1) - 1), rtol=0.05, atol=0)


class Mine(JointHead):
    """A head of the user's."""


def test_a_head_of_ones_own_travels_and_is_named() -> None:
    config = PolicyConfig(primitives=SMALL_PRIMITIVES, head=Mine)
    assert config.head == f"{__name__}:Mine"
    sent = cloudpickle.loads(cloudpickle.dumps(config))
    assert sent == PolicyConfig.from_dict(config.to_dict())
    assert type(PolicyNetwork(sent).head).__name__ == "Mine"
    with pytest.raises(ValueError, match=r"head: expected a natrl\.policies\.network\.Head or a subclass"):
        PolicyConfig(primitives=SMALL_PRIMITIVES, head=3)
