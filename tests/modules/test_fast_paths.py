"""torch's transformers: their parts are slots, though their fast path reads the weights of all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn, Tensor

import natrl
from tests.modules.test_rules import counted

WIDTH, HIDDEN = 16, 24
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
PARTS = ("self_attn", "linear1", "linear2")


class Tokens(nn.Module):
    """Patches and a class token through an encoder of two layers."""

    def __init__(self, batch_first: bool, norm_first: bool) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, WIDTH, 2, 2), nn.Parameter(torch.randn(1, 1, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 2, HIDDEN, batch_first=batch_first, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.batch_first, self.head = batch_first, nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        x = self.encoder(x) if self.batch_first else self.encoder(x.transpose(0, 1)).transpose(0, 1)
        return self.head(x[:, 0])


class Words(nn.Module):
    """Sentences that end with zeros, which attention leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, WIDTH)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, 2, HIDDEN, batch_first=True), 2)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.words(x), src_key_padding_mask=x == 0)[:, 0])


class Answers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.reads = nn.Linear(5, WIDTH)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(WIDTH, 2, HIDDEN, batch_first=True), 1)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return self.decoder(self.reads(x), self.reads(memory))


@pytest.fixture
def slow_path() -> Iterator[None]:
    """FlopCounterMode does not count what torch runs as one operation; natrl does."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@torch.no_grad()
def outputs(model: nn.Module, *inputs: Tensor) -> Tensor:
    return model.eval()(*inputs)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_encoders(batch_first: bool, norm_first: bool) -> None:
    torch.manual_seed(0)
    model = Tokens(batch_first, norm_first).eval()
    space = natrl.from_module(model, IMAGES[:2])
    assert {slot.name for slot in space.slots} == {
        *("patches", "head"),
        *(f"encoder.layers.{i}.{part}" for i in range(2) for part in PARTS),
    }
    same = space.build(space.architecture)
    assert torch.equal(outputs(same, IMAGES), outputs(model, IMAGES))
    assert torch.equal(same(IMAGES), model(IMAGES))
    rng = np.random.default_rng(0)
    for _ in range(4):
        network = space.build(space.sample(rng)).eval()
        torch.testing.assert_close(outputs(network, IMAGES), network(IMAGES).detach())
        network.train()(IMAGES).sum().backward()


def test_costs_are_torchs(slow_path: None) -> None:
    space = natrl.from_module(Tokens(True, False), IMAGES[:1])
    chosen = space.with_operations({"encoder.layers.0.self_attn": "null", "encoder.layers.1.linear1": "low_rank_2"})
    for architecture in (space.architecture, chosen):
        assert space.cost(architecture) == counted(space.build(architecture), IMAGES[:1])
    attention = 4 * WIDTH**2 + 4 * WIDTH
    rank = min(WIDTH, HIDDEN) // 2
    saved = attention + WIDTH * HIDDEN - rank * (WIDTH + HIDDEN)
    assert space.cost(space.architecture).params - space.cost(chosen).params == saved


def test_replacements_are_fitted_in_encoders_and_a_supernet_holds_them() -> None:
    torch.manual_seed(0)
    model = Tokens(True, False).eval()
    space = natrl.from_module(model, IMAGES[:2])
    images = torch.randn(64, 3, 8, 8)
    chosen = space.with_operations({"encoder.layers.0.linear1": "low_rank_2", "encoder.layers.1.linear2": "low_rank_2"})
    fitted = space.inheritance(images, seed=0, device=torch.device("cpu"))(chosen)
    errors = [
        float((outputs(network, images) - outputs(model, images)).square().mean())
        for network in (fitted, space.build(chosen))
    ]
    assert errors[0] < errors[1]
    supernet = space.supernet(images).eval()
    with torch.no_grad():
        torch.testing.assert_close(supernet(images, space.architecture), outputs(model, images))
        assert not torch.allclose(supernet(images, chosen), outputs(model, images))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")  # of torch's own fast path
def test_sentences_of_different_lengths() -> None:
    model = Words().eval()
    words = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0], [8, 1, 2, 0, 0]])
    space = natrl.from_module(model, words)
    assert torch.equal(outputs(space.build(space.architecture), words), outputs(model, words))
    network = space.build(space.with_operations({"encoder.layers.1.linear1": "low_rank_4"}))
    torch.testing.assert_close(outputs(network, words), network(words).detach())
    shorter = words[1:2, :2]
    torch.testing.assert_close(outputs(network, words)[1:2], outputs(network, shorter))


def test_a_decoders_first_attention_can_go() -> None:
    model, inputs = Answers().eval(), (torch.randn(2, 4, 5), torch.randn(2, 6, 5))
    space = natrl.from_module(model, inputs)
    network = space.build(space.with_operations({"decoder.layers.0.self_attn": "null"}))
    assert torch.equal(outputs(deepcopy(space.build(space.architecture)), *inputs), outputs(model, *inputs))
    assert not list(network.decoder.layers[0].self_attn.parameters())
    assert outputs(network, *inputs).shape == (2, 4, WIDTH)
