"""Architecture + skeleton → a plain torch network, whose cost is what `natrl.spaces.network_cost` counts."""

from __future__ import annotations

from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.checks.fields import Decay
from natrl.core.architecture import Architecture
from natrl.networks.blocks import AuxiliaryHead, CellModule, ResidualBlock, Stem
from natrl.spaces import Skeleton

__all__ = ["Network", "build_network"]


@checked
def build_network(
    architecture: Architecture, skeleton: Skeleton, *, auxiliary: bool = False, drop_path: Decay = 0.0
) -> Network:
    """The network of the architecture on the skeleton: images (B, channels, size, size) → logits (B, num_classes).

    auxiliary: in training the network gives (logits, logits of an auxiliary head), which no count includes.
    drop_path: probability in [0, 1) that a slot, other than a skip, is dropped for a sample in training; a training
    loop may set `network.drop_path` from epoch to epoch.
    ValueError if the architecture is malformed, or the skeleton cannot stack its cells.
    """
    return Network(architecture.validate(), skeleton, auxiliary=auxiliary, drop_path=drop_path)


class Network(nn.Module):
    """Stem, blocks, global average pooling, linear classifier. `build_network` makes it."""

    def __init__(
        self, architecture: Architecture, skeleton: Skeleton, *, auxiliary: bool = False, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.drop_path = drop_path
        plan = skeleton.plan(architecture)
        cells = list(architecture.by_cell())
        self.stem = Stem(skeleton, plan[0].in_channels[-1])
        self.blocks = nn.ModuleList()
        for block in plan:
            if block.cell is None:
                self.blocks.append(ResidualBlock(block.in_channels[0], block.channels))
            else:
                cell, operations = cells[block.cell]
                self.blocks.append(CellModule(cell, operations, block))
        features = plan[-1].out_channels
        two_inputs = architecture.cells[0].inputs == 2
        self.head = nn.Identity() if two_inputs else nn.Sequential(nn.BatchNorm2d(features), nn.ReLU())
        self.classifier = nn.Linear(features, skeleton.num_classes)
        self.auxiliary: AuxiliaryHead | None = None
        if auxiliary:
            self.auxiliary_after, size = _last_reduction(architecture, skeleton)
            self.auxiliary = AuxiliaryHead(plan[self.auxiliary_after].out_channels, size, skeleton.num_classes)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Images (B, channels, size, size) → logits (B, num_classes), in training with those of the auxiliary head."""
        before, last = self.stem(images)
        auxiliary_logits = None
        for i, block in enumerate(self.blocks):
            two_inputs = isinstance(block, CellModule) and block.cell.inputs == 2
            before, last = last, block((before, last) if two_inputs else (last,), self.drop_path)
            if self.auxiliary is not None and self.training and i == self.auxiliary_after:
                auxiliary_logits = self.auxiliary(last)
        logits = self.classifier(self.head(last).mean((2, 3)))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)


def _last_reduction(architecture: Architecture, skeleton: Skeleton) -> tuple[int, int]:
    """Position and output size of the last block that halves its input, or of the last block if none does."""
    plan = skeleton.plan(architecture)
    for i, block in reversed(list(enumerate(plan))):
        if block.cell is None or architecture.cells[block.cell].reduction:
            return i, -(-block.size // 2)
    return len(plan) - 1, plan[-1].size
