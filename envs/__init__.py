"""The transition MDP as Gymnasium environments. Importing this package loads neither torch nor Ray.

`gymnasium.make("natrl/ArchTransition-v0")`: one action for all slots; `gymnasium.make_vec` gives its batched form.
`gymnasium.make("natrl/ArchTransitionSequential-v0")`: slot after slot. `natrl.envs.tasks` has tasks with names, for
results that can be compared, and `natrl.envs.wrappers` masks as other libraries want them.
"""

import gymnasium

from natrl.envs.joint import ArchTransitionEnv
from natrl.envs.sequential import ArchTransitionSequentialEnv
from natrl.envs.tasks import register
from natrl.envs.vector import ArchTransitionSequentialVectorEnv, ArchTransitionVectorEnv

__all__ = [
    "ArchTransitionEnv",
    "ArchTransitionSequentialEnv",
    "ArchTransitionSequentialVectorEnv",
    "ArchTransitionVectorEnv",
]

gymnasium.register(
    id="natrl/ArchTransition-v0",
    entry_point="natrl.envs:ArchTransitionEnv",
    vector_entry_point="natrl.envs:ArchTransitionVectorEnv",
)
gymnasium.register(
    id="natrl/ArchTransitionSequential-v0",
    entry_point="natrl.envs:ArchTransitionSequentialEnv",
    vector_entry_point="natrl.envs:ArchTransitionSequentialVectorEnv",
)
register()
