"""The policy network: an encoder, a head, and a critic for training.

B batch, E slots, K primitives, F features. Observations are dicts of tensors of any dtype on the network's device:
ops (B, E) vocabulary indices, adjacency (B, E, E), features (B, E, F), action_mask (B, E, K), and where episodes have
several transforms left (B,), how many are to come; without it the transform is the last one. With a budget also costs
(B, E, K, 2), the parameters and MAdds of each primitive in each slot, and budget (B, 2), what all slots may cost
together (infinite: unlimited): the autoregressive head never exceeds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from math import isfinite
from typing import Annotated, Any, ClassVar

import torch
from annotated_doc import Doc
from torch import nn, Tensor

from natrl.checks.annotations import Range
from natrl.checks.kinds import complete_class, described, with_functions
from natrl.core.operations import operation, VOCABULARY_INDEX
from natrl.evaluation.named import Named
from natrl.policies.bmsoftmax import BMSoftmax
from natrl.policies.encoder import GraphEncoder, LSTMEncoder
from natrl.policies.heads import AutoregressiveHead, JointHead, Scene
from natrl.policies.masks import BudgetMasks, LiveMasks, Masks
from natrl.policies.tightness import freedom, Tightness
from natrl.registry import Registry
from natrl.spaces import FEATURES, wiring_of
from natrl.spaces.budget import RESOURCES

__all__ = ["HEADS", "Head", "PolicyConfig", "PolicyNetwork"]

Observation = Mapping[str, Tensor]

#: Entries that a stored configuration may have, and what they are where it has them not.
OPTIONAL: dict[str, Any] = {"horizon": 1, "budget": []}
LARGEST = {"width": 4096, "layers": 64, "horizon": 100_000}  # what fits into memory


@dataclass(frozen=True)
class Head:
    """How a policy decides: modules from sizes."""

    #: Of a width: `evaluate` and `sample` as `natrl.policies.heads.JointHead` has them.
    decide: Callable[[int], nn.Module]
    encode: Callable[[int, int, int], nn.Module] = GraphEncoder  # of a width, layers and horizon


def accept_head(found: Any) -> Head:
    """A record as it is, a class of modules as one over graph convolutions."""
    if isinstance(found, Head):
        return with_functions(found, "decide", "encode")
    if isinstance(found, type) and issubclass(found, nn.Module):
        return Head(complete_class(found, "evaluate", "sample"))
    raise ValueError(f"expected a natrl.policies.network.Head or a subclass of nn.Module, got {described(found)}")


JOINT, AUTOREGRESSIVE, LSTM = Head(JointHead), Head(AutoregressiveHead), Head(JointHead, LSTMEncoder)
HEADS: Registry[Head] = Registry("head", accept_head, group="natrl.heads")
HEADS.register("joint", "natrl.policies.network:JOINT", "every slot by itself")
HEADS.register("autoregressive", "natrl.policies.network:AUTOREGRESSIVE", "slot after slot, given those before")
HEADS.register("lstm", "natrl.policies.network:LSTM", "the joint head over an LSTM instead of graph convolutions")


@dataclass(frozen=True)
class PolicyConfig(Named):
    """What a policy network is built from. ValueError on an unknown head or primitive, or a size out of range."""

    registries: ClassVar = {"head": ("natrl.policies.network", "HEADS")}

    primitives: Annotated[tuple[str, ...], Doc("K operation names: the actions of a slot.")]
    head: Annotated[Any, Doc("A name of `HEADS`, module:object, or in Python the object, whose name is kept.")] = (
        "autoregressive"
    )
    width: Annotated[int, Range(1, LARGEST["width"]), Doc("Of every hidden vector.")] = 64
    layers: Annotated[int, Range(1, LARGEST["layers"]), Doc("Graph convolutions (head lstm: LSTM layers).")] = 2
    keep: Annotated[float, Doc("Extra logit, at the start of training, of what a slot holds.")] = 0.0
    horizon: Annotated[
        int, Range(1, LARGEST["horizon"]), Doc("Transforms an episode; above 1 it sees how many are left.")
    ] = 1
    budget: Annotated[
        tuple[str, ...], Doc("Of params and madds: what it may spend a given amount of, which it sees.")
    ] = ()

    def __post_init__(self) -> None:
        self.keep_names()
        HEADS.get(self.head)
        for name in ("width", "layers", "horizon"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST[name]:
                raise ValueError(f"policy: {name} must be a whole number from 1 to {LARGEST[name]}, got {value!r:.60}")
        if not isinstance(self.keep, int | float) or not isfinite(self.keep):
            raise ValueError(f"policy: keep must be a finite number, got {self.keep!r}")
        if not isinstance(self.primitives, Sequence):
            raise ValueError(f"policy: primitives must be names of operations, got {self.primitives!r:.60}")
        object.__setattr__(self, "primitives", tuple(operation(name).name for name in self.primitives))
        if not self.primitives or len(set(self.primitives)) < len(self.primitives):
            raise ValueError("policy: primitives must be different operations, at least one")
        if not isinstance(self.budget, Sequence) or not all(kind in RESOURCES for kind in self.budget):
            raise ValueError(f"policy: budget must be some of {', '.join(RESOURCES)}, got {self.budget!r:.60}")
        object.__setattr__(self, "budget", tuple(self.budget))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document; `from_dict` reads it back to an equal value. It names what is OPTIONAL where it is."""
        document = asdict(self) | {"primitives": list(self.primitives), "budget": list(self.budget)}
        return {name: value for name, value in document.items() if OPTIONAL.get(name) != value}

    @classmethod
    def from_dict(cls, document: Any) -> PolicyConfig:
        """Reads what `to_dict` wrote. ValueError says what is missing, unknown or malformed."""
        names = {field.name for field in fields(cls)} - set(OPTIONAL)
        if not isinstance(document, dict) or set(document) - set(OPTIONAL) != names:
            more = " and ".join(OPTIONAL)
            raise ValueError(
                f"a policy configuration has exactly the entries {', '.join(sorted(names))}, or {more} too"
            )
        if not isinstance(document["primitives"], list) or not all(isinstance(p, str) for p in document["primitives"]):
            raise ValueError("policy: primitives must be a list of operation names")
        return cls(**document)


class PolicyNetwork(nn.Module):
    """π(α | β) over transformations α of an architecture β, and a critic that predicts the reward of β.

    No parameter depends on E or K. Everything is float32.
    """

    primitives: Tensor
    head: Any

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        head = HEADS.get(config.head)
        self.encoder = head.encode(config.width, config.layers, config.horizon)
        self.head = head.decide(config.width)
        self.critic = Critic(config.width, config.layers, config.horizon)
        if config.budget:
            self.freedom, self.critic_freedom = Tightness(1, config.width), Tightness(1, config.width)
            self.slack = Tightness(2, config.width)
        self.keep = nn.Parameter(torch.tensor(float(config.keep)))
        indices = [VOCABULARY_INDEX[name] for name in config.primitives]
        self.register_buffer("primitives", torch.tensor(indices), persistent=False)

    def with_primitives(self, primitives: tuple[str, ...]) -> PolicyNetwork:
        """A copy that acts on a space with other primitives."""
        other = PolicyNetwork(replace(self.config, primitives=primitives)).to(self.primitives.device)
        other.load_state_dict(self.state_dict())
        return other

    def start_from(self, other: PolicyNetwork) -> None:
        """Takes another network's weights over, whatever its primitives; what only this one has stays as it is.

        ValueError if it is built otherwise: only a budget and a horizon may come in.
        """
        ours, theirs = self.config, other.config
        differing = [name for name in ("head", "width", "layers") if getattr(ours, name) != getattr(theirs, name)]
        if set(theirs.budget) - set(ours.budget):
            differing.append("budget")
        if differing:
            said = ", ".join(f"{n} {getattr(theirs, n)!r}, not {getattr(ours, n)!r}" for n in differing)
            raise ValueError(f"the policy to start from has {said}")
        own = self.state_dict()
        self.load_state_dict(own | {name: value for name, value in other.state_dict().items() if name in own})

    def sample(
        self,
        obs: Observation,
        deterministic: bool = False,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        penalty: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Actions int64 (B, E), their masked logits (B, E, K), and their log-probability (B,).

        The autoregressive head's logits of a slot are those given the actions of the slots before it. `deterministic`
        takes the most probable action of each slot instead of a sample; a `temperature` above 1 flattens what is
        sampled from. `penalty` (B, E, K) is subtracted from the logits. Actions of the other heads may cut the last
        path: natrl.spaces.apply_actions repairs them.
        """
        choose = (
            BMSoftmax.mode if deterministic else partial(BMSoftmax.sample, generator=generator, temperature=temperature)
        )
        actions, distribution = self.head.sample(self._scene(obs, penalty), choose)
        return actions, distribution.logits, distribution.log_prob(actions)

    def evaluate(self, obs: Observation, actions: Tensor) -> Tensor:
        """Masked logits (B, E, K) of the distribution that gives actions (B, E) their probability.

        Equal to those of `sample` for the actions that it returned (teacher forcing).
        """
        return self.head.evaluate(self._scene(obs), actions.long()).logits

    def value(self, obs: Observation) -> Tensor:
        """(B,): the reward that the critic expects of the policy's transformation."""
        return self.critic(*_graph(obs), self._freedom(obs, "critic_freedom"))

    def _freedom(self, obs: Observation, name: str) -> Tensor | None:
        """(B, W): what the budget adds to each slot's vector; None without one."""
        return getattr(self, name)(freedom(obs, self.primitives)) if self.config.budget and "budget" in obs else None

    def _scene(self, obs: Observation, penalty: Tensor | None = None) -> Scene:
        ops, adjacency, features, left = _graph(obs)
        mask = obs["action_mask"].bool()
        expected = (*ops.shape, len(self.config.primitives))
        if mask.shape != expected:
            raise ValueError(f"action_mask must be (B, E, K) = {expected}, got {(*mask.shape,)}")
        more = self._freedom(obs, "freedom")
        slots, pooled = self.encoder(ops, adjacency, features, left, **({} if more is None else {"more": more}))
        null = self.config.primitives.index("null") if "null" in self.config.primitives else None
        active = ops != VOCABULARY_INDEX["null"]
        wiring = wiring_of(adjacency, features)
        offset = self.keep * (ops.unsqueeze(-1) == self.primitives)
        offset = offset if penalty is None else offset - penalty
        masks: Masks
        if "budget" in obs:
            masks = BudgetMasks(obs, mask, active, wiring, null)
        else:
            masks = LiveMasks(mask, active, wiring, null)
        slack = self.slack if self.config.budget and "budget" in obs else None
        return Scene(slots, pooled, mask, self.primitives, offset, masks, slack)


class Critic(nn.Module):
    """Predicts the reward from an encoder of its own."""

    def __init__(self, width: int, layers: int, horizon: int) -> None:
        super().__init__()
        self.encoder = GraphEncoder(width, layers, horizon)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(
        self, ops: Tensor, adjacency: Tensor, features: Tensor, left: Tensor | None, more: Tensor | None = None
    ) -> Tensor:
        """(B,) from ops (B, E), adjacency (B, E, E), features (B, E, F), transforms left (B,), and `more` (B, W)."""
        _, pooled = self.encoder(ops, adjacency, features, left, more)
        value: Tensor = self.out(torch.relu(self.hidden(pooled)))
        return value.squeeze(-1)


def _graph(obs: Observation) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """ops int64, adjacency and features float32, and where they are there the transforms left, float32.

    ValueError on other shapes than (B, E), (B, E, E), (B, E, F) and (B,).
    """
    ops, adjacency, features = obs["ops"].long(), obs["adjacency"].float(), obs["features"].float()
    if ops.dim() != 2 or adjacency.shape != (*ops.shape, ops.shape[1]) or features.shape != (*ops.shape, len(FEATURES)):
        shapes = ", ".join(str((*t.shape,)) for t in (ops, adjacency, features))
        raise ValueError(f"ops, adjacency, features must be (B, E), (B, E, E), (B, E, {len(FEATURES)}), got {shapes}")
    left = obs.get("left")
    if left is not None and left.shape != ops.shape[:1]:
        raise ValueError(f"left must be (B,) = {(*ops.shape[:1],)}, got {(*left.shape,)}")
    return ops, adjacency, features, None if left is None else left.float()
