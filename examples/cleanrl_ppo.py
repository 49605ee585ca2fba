"""PPO in one file, torch alone, in the manner of CleanRL: Gymnasium's SyncVectorEnv, masked categorical policy.

python examples/cleanrl_ppo.py
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium
import numpy as np
import torch
from _task import load_task, parser, report
from gymnasium.wrappers import FilterObservation, FlattenObservation
from torch import nn
from torch.distributions import Categorical

from natrl.envs.wrappers import MaskMethods

ENVS, EPOCHS, MINIBATCHES = 256, 4, 2
LEARNING_RATE, CLIP, ENTROPY, VALUE_WEIGHT, MAX_NORM = 2e-3, 0.2, 0.02, 0.5, 1.0
REWARD_SCALE = 10  # differences of accuracy are small; the critic learns better on numbers near 1


class Agent(nn.Module):
    """Actor and critic of their own, observations (B, n), masks bool (B, E, K)."""

    def __init__(self, inputs: int, slots: int, primitives: int) -> None:
        super().__init__()
        self.shape = slots, primitives
        self.actor = nn.Sequential(
            nn.Linear(inputs, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, slots * primitives)
        )
        self.critic = nn.Sequential(nn.Linear(inputs, 128), nn.Tanh(), nn.Linear(128, 1))

    def policy(self, observations: torch.Tensor, masks: torch.Tensor) -> Categorical:
        """One distribution a slot."""
        logits = self.actor(observations).unflatten(-1, self.shape)
        return Categorical(logits=logits.masked_fill(~masks, -1e9))


def flat(env: gymnasium.Env) -> gymnasium.Env:
    """What the slots hold as one vector: here all architectures share a topology."""
    return MaskMethods(FlattenObservation(FilterObservation(env, ["ops"])))


def update(agent: Agent, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, ...]) -> None:
    """PPO's epochs over a batch of steps: the advantage is the return to come, here the reward, minus the critic."""
    observations, masks, actions, old_log_probs, rewards = batch
    with torch.no_grad():
        advantages = rewards - agent.critic(observations).squeeze(-1)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(rewards)).chunk(MINIBATCHES):
            policy = agent.policy(observations[rows], masks[rows])
            ratio = (policy.log_prob(actions[rows]).sum(-1) - old_log_probs[rows]).exp()
            gain = torch.min(ratio * advantages[rows], ratio.clamp(1 - CLIP, 1 + CLIP) * advantages[rows])
            error = agent.critic(observations[rows]).squeeze(-1) - rewards[rows]
            entropy = policy.entropy().sum(-1)
            loss = -gain.mean() - ENTROPY * entropy.mean() + VALUE_WEIGHT * error.square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
            optimizer.step()


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    arguments = parser(__doc__, steps=60_000).parse_args(argv)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)  # the networks are small
    task = load_task()
    envs = gymnasium.vector.SyncVectorEnv(
        [lambda: flat(task.make())] * ENVS, autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED
    )
    held_out = flat(task.make())
    slots, primitives = held_out.unwrapped.observation_space["action_mask"].shape
    agent = Agent(envs.single_observation_space.shape[0], slots, primitives)
    optimizer = torch.optim.Adam(agent.parameters(), lr=LEARNING_RATE, eps=1e-5)

    @torch.no_grad()
    def choose(observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        policy = agent.policy(torch.as_tensor(observation, dtype=torch.float32), torch.as_tensor(mask))
        return policy.logits.argmax(-1).numpy()

    before = task.capture(choose, held_out)
    iterations = max(1, arguments.steps // ENVS)
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = (1 - 0.9 * iteration / iterations) * LEARNING_RATE
        observations, _ = envs.reset(seed=arguments.seed if iteration == 0 else None)
        inputs = torch.as_tensor(observations, dtype=torch.float32)
        masks = torch.as_tensor(np.stack(envs.get_attr("action_mask")))
        with torch.no_grad():
            policy = agent.policy(inputs, masks)
            actions = policy.sample()
            log_probs = policy.log_prob(actions).sum(-1)
        _, rewards, terminated, _, _ = envs.step(actions.numpy())
        assert terminated.all()  # with the horizon of 1 that we asked for
        scaled = torch.as_tensor(REWARD_SCALE * rewards, dtype=torch.float32)
        update(agent, optimizer, (inputs, masks, actions, log_probs, scaled))
    after = task.capture(choose, held_out)
    report(task, before, after, iterations * ENVS)
    if arguments.picture:
        task.draw(
            arguments.picture, f"PPO in one file, {iterations * ENVS:,} steps: capture {after:.3f}", choose, held_out
        )
    return before, after


if __name__ == "__main__":
    main()
