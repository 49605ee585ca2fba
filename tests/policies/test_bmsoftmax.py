"""The masked distribution against hand tables and an independent loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from natrl.policies.bmsoftmax import BMSoftmax, MASKED

SHAPE = (3, 4, 5)  # B, E, K


def random_pair(seed: int, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    """Logits and a mask that allows at least the first primitive of every slot."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(SHAPE, generator=generator) < 0.6
    mask[..., 0] = True
    return scale * torch.randn(SHAPE, generator=generator), mask


def loop_probabilities(logits: Tensor, mask: Tensor) -> list[list[list[float]]]:
    """p_i = m_i exp(z_i) / Σ_j m_j exp(z_j), in Python floats."""
    table = []
    for b in range(SHAPE[0]):
        rows = []
        for e in range(SHAPE[1]):
            weights = [
                math.exp(z) if m else 0.0 for z, m in zip(logits[b, e].tolist(), mask[b, e].tolist(), strict=True)
            ]
            rows.append([w / sum(weights) for w in weights])
        table.append(rows)
    return table


def test_a_distribution_by_hand() -> None:
    """Weights 1, (2), 3: probabilities 1/4, 0, 3/4."""
    d = BMSoftmax(torch.tensor([[1.0, 2.0, 3.0]]).log(), torch.tensor([[True, False, True]]))
    torch.testing.assert_close(d.probs, torch.tensor([[0.25, 0.0, 0.75]]))
    assert d.log_prob(torch.tensor([2])).item() == pytest.approx(math.log(0.75))
    assert d.entropy().item() == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))
    assert d.mode().tolist() == [2]


@pytest.mark.parametrize("seed", range(5))
def test_everything_agrees_with_a_loop(seed: int) -> None:
    logits, mask = random_pair(seed)
    other_logits = random_pair(seed + 100)[0]
    ours, other = BMSoftmax(logits, mask), BMSoftmax(other_logits, mask)
    p, q = loop_probabilities(logits, mask), loop_probabilities(other_logits, mask)
    torch.testing.assert_close(ours.probs, torch.tensor(p))
    entropy = [[-sum(x * math.log(x) for x in row if x) for row in rows] for rows in p]
    torch.testing.assert_close(ours.slot_entropy(), torch.tensor(entropy))
    torch.testing.assert_close(ours.entropy(), torch.tensor([sum(row) for row in entropy]))
    kl = [
        [sum(x * math.log(x / y) for x, y in zip(*pair, strict=True) if x) for pair in zip(*rows, strict=True)]
        for rows in zip(p, q, strict=True)
    ]
    torch.testing.assert_close(ours.slot_kl_divergence(other), torch.tensor(kl))
    torch.testing.assert_close(ours.kl_divergence(other), torch.tensor([sum(row) for row in kl]))
    actions = ours.sample(torch.Generator().manual_seed(seed))
    logs = [[math.log(p[b][e][int(actions[b, e])]) for e in range(SHAPE[1])] for b in range(SHAPE[0])]
    torch.testing.assert_close(ours.slot_log_prob(actions), torch.tensor(logs))
    torch.testing.assert_close(ours.log_prob(actions), torch.tensor([sum(row) for row in logs]))
    assert ours.mode().tolist() == [[max(range(SHAPE[2]), key=row.__getitem__) for row in rows] for rows in p]


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7).filter(any), min_size=1, max_size=6))
def test_exp_entropy_is_the_number_of_allowed_primitives(rows: list[list[bool]]) -> None:
    """With zero logits; for the joint entropy it is the number of allowed actions, the product over slots."""
    mask = torch.tensor(rows)
    d = BMSoftmax(torch.zeros(mask.shape), mask)
    torch.testing.assert_close(d.slot_entropy().exp(), mask.sum(-1).float())
    torch.testing.assert_close(d.entropy().exp(), mask.sum(-1).float().prod(), rtol=1e-4, atol=1e-4)


def test_masked_logits_get_no_gradient() -> None:
    logits, mask = random_pair(1)
    logits.requires_grad_()
    d, other = BMSoftmax(logits, mask), BMSoftmax(*random_pair(2))
    (d.log_prob(d.mode()).sum() + d.entropy().sum() + d.kl_divergence(other).sum()).backward()
    assert logits.grad is not None
    assert (logits.grad[~mask] == 0).all()
    several = mask.sum(-1) > 1
    assert (logits.grad[mask & several[..., None]] != 0).all()


def test_inputs_are_left_alone() -> None:
    logits, mask = random_pair(3)
    before = logits.clone(), mask.clone()
    d = BMSoftmax(logits, mask)
    d.sample(), d.mode(), d.entropy(), d.kl_divergence(d), d.log_prob(d.mode())
    assert torch.equal(logits, before[0])
    assert torch.equal(mask, before[1])


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e8])
def test_nothing_is_ever_nan_or_infinite(scale: float) -> None:
    """Extreme logits, masks that differ, forbidden actions, and a slot that allows nothing at all."""
    logits, mask = random_pair(4, scale)
    logits.requires_grad_()
    other = BMSoftmax(random_pair(5, scale)[0], random_pair(6)[1])
    nothing = mask.clone()
    nothing[0, 0] = False
    for d in (BMSoftmax(logits, mask), BMSoftmax(logits, nothing)):
        forbidden = (~mask).float().argmax(-1)
        values = [d.probs, d.entropy(), d.kl_divergence(other), other.kl_divergence(d), d.log_prob(forbidden), d.logits]
        for value in values:
            assert torch.isfinite(value).all()
        (gradient,) = torch.autograd.grad(sum(v.sum() for v in (d.entropy(), d.kl_divergence(d))), logits)
        assert torch.isfinite(gradient).all()
    assert BMSoftmax(logits, nothing).slot_entropy()[0, 0] == 0


def test_kl_of_a_distribution_with_itself_is_zero_and_else_positive() -> None:
    logits, mask = random_pair(7)
    d = BMSoftmax(logits, mask)
    torch.testing.assert_close(d.kl_divergence(BMSoftmax(logits + 3, mask)), torch.zeros(SHAPE[0]), atol=1e-5, rtol=0)
    assert (d.kl_divergence(BMSoftmax(-logits, mask)) > 0).all()


def test_forbidden_actions_have_no_probability() -> None:
    d = BMSoftmax(torch.tensor([[0.0, 100.0]]), torch.tensor([[True, False]]))
    assert d.log_prob(torch.tensor([1])).item() <= MASKED / 2
    assert d.log_prob(torch.tensor([1])).exp().item() == 0
    assert d.mode().tolist() == [0]


def test_samples_follow_the_probabilities() -> None:
    logits, mask = random_pair(8)
    d = BMSoftmax(logits[0].expand(20_000, 4, 5), mask[0].expand(20_000, 4, 5))
    drawn = d.sample(torch.Generator().manual_seed(0))
    frequencies = torch.nn.functional.one_hot(drawn, 5).float().mean(0)
    assert (frequencies[~mask[0]] == 0).all()
    torch.testing.assert_close(frequencies, d.probs[0], atol=0.015, rtol=0)


def test_a_temperature_flattens_what_is_sampled_but_allows_no_more() -> None:
    logits = torch.tensor([2.0, 0.0, 9.0]).expand(10_000, 1, 3)
    d = BMSoftmax(logits, torch.tensor([True, True, False]).expand(10_000, 1, 3))
    for temperature in (1.0, 4.0):
        drawn = d.sample(torch.Generator().manual_seed(0), temperature)
        assert (drawn != 2).all()
        expected = torch.sigmoid(torch.tensor(2.0 / temperature))
        torch.testing.assert_close((drawn == 0).float().mean(), expected, atol=0.015, rtol=0)


def test_the_generator_alone_decides_a_sample() -> None:
    d = BMSoftmax(*random_pair(9))
    first, again, another = (d.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, another)


def test_flat_masked_logits_alone_restore_the_distribution() -> None:
    logits, mask = random_pair(10)
    d = BMSoftmax(logits, mask)
    restored = BMSoftmax.from_masked(d.logits.flatten(1), slots=SHAPE[1])
    assert torch.equal(restored.mask, mask)
    assert torch.equal(restored.probs, d.probs)
    assert torch.equal(restored.entropy(), d.entropy())


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"logits and mask must both be \(\.\.\., E, K\), got \(2, 3\) and \(2, 4\)"):
        BMSoftmax(torch.zeros(2, 3), torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="7 logits cannot be divided among 2 slots"):
        BMSoftmax.from_masked(torch.zeros(1, 7), slots=2)
