"""What the encoders see, and that nothing in them depends on the number of slots."""

from __future__ import annotations

import pytest
import torch
from torch import nn, Tensor

from natrl.core.operations import VOCABULARY, VOCABULARY_INDEX
from natrl.policies.encoder import GraphEncoder, LSTMEncoder, OperationEmbedding, three_views
from natrl.spaces import encode, FEATURES
from tests.policies.observations import samples, small


@pytest.fixture
def encoder() -> GraphEncoder:
    torch.manual_seed(0)
    return GraphEncoder(width=16, layers=1).eval()


def encoded(encoder: GraphEncoder | LSTMEncoder, *operations: str) -> tuple[Tensor, Tensor]:
    arrays = encode([small(*operations)])
    return encoder(*(torch.as_tensor(arrays[name]).to(dtype) for name, dtype in DTYPES.items()))


DTYPES = {"ops": torch.int64, "adjacency": torch.float32, "features": torch.float32}
PLAIN = ("skip_connect",) * 5  # edges 0>1 0>2 1>2 1>3 2>3


def test_the_three_views_of_a_slot() -> None:
    """Slots 0 and 1 lead to slot 2; slot 3 is alone."""
    adjacency = torch.zeros(1, 4, 4)
    adjacency[0, 0, 2] = adjacency[0, 1, 2] = 1
    own, before, after = three_views(adjacency).unflatten(2, (4, 3)).unbind(-1)
    assert torch.equal(own[0], torch.eye(4))
    assert before[0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]]
    assert after[0].tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("changed", "seen_by"),
    [
        (0, {0, 2, 3}),  # 0>1 leads to 1>2 and 1>3
        (1, {1, 4}),  # 0>2 leads to 2>3
        (2, {0, 2, 4}),  # 1>2 is read after 0>1 and before 2>3
        (3, {0, 3}),
        (4, {1, 2, 4}),
    ],
)
def test_one_layer_sees_itself_and_both_neighbours(encoder: GraphEncoder, changed: int, seen_by: set[int]) -> None:
    """Without the pooled term, which shows every slot to all."""
    with torch.no_grad():
        encoder.layers[0].pooled.weight.zero_()
    operations = list(PLAIN)
    operations[changed] = "conv_3x3"
    (before, _), (after, _) = encoded(encoder, *PLAIN), encoded(encoder, *operations)
    moved = (before - after).abs().amax(-1)[0] > 1e-6
    assert set(moved.nonzero().flatten().tolist()) == seen_by


def test_what_was_appended_to_the_vocabulary_changes_no_draw() -> None:
    """A seed gives the embeddings, and all that is drawn after them, as the first vocabulary's eight types did."""
    torch.manual_seed(3)
    table, after = OperationEmbedding(4), torch.rand(1)
    torch.manual_seed(3)
    first = nn.Embedding(8, 4), nn.Embedding(6, 4)
    nn.Linear(4, 4)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(table.of_type.weight[:8], first[0].weight)
    assert torch.equal(table.of_kernel.weight, first[1].weight)


def test_directions_and_the_whole_have_weights_of_their_own(encoder: GraphEncoder) -> None:
    """Slots 0 (before) and 4 (after) of slot 2 change its vector differently; so does slot 3, which is not linked."""
    vectors = []
    for e in (0, 4, 3):
        operations = list(PLAIN)
        operations[e] = "conv_3x3"
        vectors.append(encoded(encoder, *operations)[0][0, 2])
    vectors.append(encoded(encoder, *PLAIN)[0][0, 2])
    distances = torch.cdist(torch.stack(vectors), torch.stack(vectors)) + torch.eye(4)
    assert distances.min() > 1e-3


def test_position_is_seen(encoder: GraphEncoder) -> None:
    """All slots hold the same operation, yet no two get the same vector."""
    x, _ = encoded(encoder, *PLAIN)
    assert (torch.cdist(x[0], x[0]) + torch.eye(5)).min() > 1e-3


def test_slots_in_another_order_give_the_same_vectors_in_that_order() -> None:
    torch.manual_seed(0)
    encoder = GraphEncoder(width=16, layers=3)
    arrays = {k: torch.as_tensor(v) for k, v in encode(samples("darts", 8)).items()}
    order = torch.randperm(16)
    adjacency = arrays["adjacency"].float()
    x, pooled = encoder(arrays["ops"], adjacency, arrays["features"])
    y, again = encoder(arrays["ops"][:, order], adjacency[:, order][:, :, order], arrays["features"][:, order])
    torch.testing.assert_close(x[:, order], y, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(pooled, again, atol=1e-5, rtol=1e-4)


def test_the_lstm_is_blind_to_the_graph_and_to_what_comes_later() -> None:
    torch.manual_seed(0)
    encoder = LSTMEncoder(width=16, layers=1)
    ops, adjacency, features = torch.randint(0, 20, (2, 5)), torch.zeros(2, 5, 5), torch.rand(2, 5, len(FEATURES))
    x, _ = encoder(ops, adjacency, features)
    assert torch.equal(x, encoder(ops, torch.ones(2, 5, 5), features)[0])
    later = ops.clone()
    later[:, 3] = 20
    y, _ = encoder(later, adjacency, features)
    torch.testing.assert_close(x[:, :3], y[:, :3])
    assert (x[:, 3:] != y[:, 3:]).any(-1).all()


def test_operations_share_what_their_types_and_kernels_share() -> None:
    """Before the mixing layer: sep 5×5 − sep 3×3 = conv 5×5 − conv 3×3; afterwards all operations differ."""
    torch.manual_seed(0)
    embedding = OperationEmbedding(16)
    both = embedding.of_type(embedding.types) + embedding.of_kernel(embedding.kernels)
    sep5, sep3, conv5, conv3 = (
        both[VOCABULARY_INDEX[name]] for name in ("sep_conv_5x5", "sep_conv_3x3", "conv_5x5", "conv_3x3")
    )
    torch.testing.assert_close(sep5 - sep3, conv5 - conv3)
    table = embedding()
    assert table.shape == (len(VOCABULARY), 16)
    assert (torch.cdist(table, table) + torch.eye(len(VOCABULARY))).min() > 1e-2
