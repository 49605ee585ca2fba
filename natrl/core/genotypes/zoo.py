"""The zoo: the hand-made and searched architectures of the NAT and NAT++ papers, before and after.

Cells of the public repositories of DARTS, NAT and NAT++ (called NATv2 there), as `operation:source>target`;
nodes 0 and 1 are the inputs of a cell. A line that starts at the margin names the architecture.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from natrl.core.architecture import Architecture
from natrl.core.genotypes.cells import from_key

__all__ = ["zoo"]


@cache
def zoo() -> Mapping[str, Architecture]:
    """Every named architecture of the two papers: name → architecture (read-only)."""
    texts: dict[str, list[str]] = {}
    name = ""
    for line in ZOO_TEXT.splitlines():
        if line.startswith(" "):
            texts[name].append(line.strip())
        else:
            name = line.strip()
            texts[name] = []
    return MappingProxyType({name: from_key(" ; ".join(lines)) for name, lines in texts.items()})


ZOO_TEXT = """\
DARTS
  normal: sep_conv_3x3:0>2 sep_conv_3x3:1>2 sep_conv_3x3:0>3 sep_conv_3x3:1>3 sep_conv_3x3:1>4 skip_connect:0>4 skip_connect:0>5 dil_conv_3x3:2>5 | concat 2 3 4 5
  reduce: max_pool_3x3:0>2 max_pool_3x3:1>2 skip_connect:2>3 max_pool_3x3:1>3 max_pool_3x3:0>4 skip_connect:2>4 skip_connect:2>5 max_pool_3x3:1>5 | concat 2 3 4 5
NAT_DARTS
  normal: sep_conv_3x3:0>2 sep_conv_3x3:1>2 skip_connect:0>3 sep_conv_3x3:1>3 skip_connect:1>4 skip_connect:0>4 skip_connect:0>5 dil_conv_3x3:2>5 | concat 2 3 4 5
  reduce: max_pool_3x3:0>2 skip_connect:1>2 skip_connect:2>3 skip_connect:1>3 max_pool_3x3:0>4 null:2>4 skip_connect:2>5 max_pool_3x3:1>5 | concat 2 3 4 5
NATv2_DARTS
  normal: sep_conv_3x3:0>2 sep_conv_3x3:1>2 null:0>3 skip_connect:1>3 dil_conv_3x3:1>4 skip_connect:0>4 skip_connect:0>5 dil_conv_3x3:2>5 | concat 2 3 4 5
  reduce: avg_pool_3x3:0>2 max_pool_3x3:1>2 skip_connect:2>3 skip_connect:1>3 avg_pool_3x3:0>4 skip_connect:2>4 skip_connect:2>5 max_pool_3x3:1>5 | concat 2 3 4 5
ENAS
  normal: sep_conv_3x3:1>2 skip_connect:1>2 skip_connect:0>3 sep_conv_5x5:1>3 avg_pool_3x3:0>4 sep_conv_3x3:1>4 sep_conv_3x3:0>5 avg_pool_3x3:1>5 avg_pool_3x3:0>6 sep_conv_5x5:1>6 | concat 2 3 4 5 6
  reduce: sep_conv_5x5:0>2 avg_pool_3x3:1>2 sep_conv_3x3:1>3 avg_pool_3x3:1>3 avg_pool_3x3:1>4 sep_conv_3x3:1>4 avg_pool_3x3:1>5 sep_conv_5x5:4>5 sep_conv_5x5:0>6 sep_conv_3x3:5>6 | concat 2 3 6
NAT_ENAS
  normal: sep_conv_3x3:1>2 skip_connect:1>2 skip_connect:0>3 sep_conv_5x5:1>3 null:0>4 sep_conv_3x3:1>4 sep_conv_3x3:0>5 avg_pool_3x3:1>5 avg_pool_3x3:0>6 sep_conv_5x5:1>6 | concat 2 3 4 5 6
  reduce: sep_conv_5x5:0>2 avg_pool_3x3:1>2 sep_conv_3x3:1>3 avg_pool_3x3:1>3 avg_pool_3x3:1>4 sep_conv_3x3:1>4 null:1>5 sep_conv_5x5:4>5 sep_conv_5x5:0>6 sep_conv_3x3:5>6 | concat 2 3 6
NATv2_ENAS
  normal: sep_conv_3x3:1>2 null:1>2 skip_connect:0>3 sep_conv_5x5:1>3 avg_pool_3x3:0>4 sep_conv_3x3:1>4 sep_conv_3x3:0>5 avg_pool_3x3:1>5 skip_connect:0>6 sep_conv_3x3:1>6 | concat 2 3 4 5 6
  reduce: sep_conv_3x3:0>2 avg_pool_3x3:1>2 sep_conv_3x3:1>3 avg_pool_3x3:1>3 avg_pool_3x3:1>4 avg_pool_3x3:1>4 avg_pool_3x3:1>5 sep_conv_5x5:4>5 sep_conv_5x5:0>6 max_pool_3x3:5>6 | concat 2 3 6
VGG
  normal: null:0>2 skip_connect:1>2 null:0>3 conv_3x3:2>3 null:0>4 conv_3x3:3>4 null:0>5 skip_connect:4>5 | concat 5
  reduce: null:0>2 skip_connect:1>2 null:0>3 conv_3x3:2>3 null:0>4 conv_3x3:3>4 null:0>5 max_pool_3x3:4>5 | concat 5
NAT_VGG
  normal: skip_connect:0>2 skip_connect:1>2 null:0>3 conv_3x3:2>3 null:0>4 conv_3x3:3>4 skip_connect:0>5 skip_connect:4>5 | concat 5
  reduce: skip_connect:0>2 skip_connect:1>2 null:0>3 conv_3x3:2>3 null:0>4 conv_3x3:3>4 skip_connect:0>5 skip_connect:4>5 | concat 5
NATv2_VGG
  normal: skip_connect:0>2 skip_connect:1>2 skip_connect:0>3 conv_3x3:2>3 null:0>4 sep_conv_3x3:3>4 skip_connect:0>5 skip_connect:4>5 | concat 5
  reduce: skip_connect:0>2 skip_connect:1>2 skip_connect:0>3 conv_3x3:2>3 null:0>4 sep_conv_3x3:3>4 skip_connect:0>5 max_pool_3x3:4>5 | concat 5
ResBlock
  normal: null:0>2 skip_connect:1>2 null:0>3 conv_3x3:2>3 null:0>4 conv_3x3:3>4 skip_connect:2>5 skip_connect:4>5 | concat 5
  reduce: null:0>2 skip_connect:1>2 null:0>3 conv_3x3:2>3 null:0>4 conv_3x3:3>4 skip_connect:2>5 skip_connect:4>5 | concat 5
NAT_ResBlock
  normal: null:0>2 skip_connect:1>2 skip_connect:0>3 conv_3x3:2>3 skip_connect:0>4 conv_3x3:3>4 skip_connect:2>5 skip_connect:4>5 | concat 5
  reduce: null:0>2 skip_connect:1>2 skip_connect:0>3 conv_3x3:2>3 skip_connect:0>4 conv_3x3:3>4 skip_connect:2>5 skip_connect:4>5 | concat 5
NATv2_ResBlock
  normal: skip_connect:0>2 skip_connect:1>2 skip_connect:0>3 conv_3x3:2>3 skip_connect:0>4 conv_3x3:3>4 skip_connect:2>5 skip_connect:4>5 | concat 5
  reduce: skip_connect:0>2 skip_connect:1>2 skip_connect:0>3 conv_3x3:2>3 skip_connect:0>4 sep_conv_3x3:3>4 skip_connect:2>5 skip_connect:4>5 | concat 5
Mobilenetv2
  normal: null:0>2 conv_1x1:1>2 null:0>3 sep_conv_3x3:2>3 null:0>4 conv_1x1:3>4 skip_connect:1>5 skip_connect:4>5 | concat 5
  reduce: null:0>2 conv_1x1:1>2 null:0>3 sep_conv_3x3:2>3 null:0>4 conv_1x1:3>4 null:0>5 skip_connect:4>5 | concat 5
NAT_MobileNetv2
  normal: null:0>2 conv_1x1:1>2 null:0>3 sep_conv_3x3:2>3 skip_connect:0>4 conv_1x1:3>4 skip_connect:1>5 skip_connect:4>5 | concat 5
  reduce: null:0>2 skip_connect:1>2 skip_connect:0>3 sep_conv_3x3:2>3 null:0>4 conv_1x1:3>4 null:0>5 skip_connect:4>5 | concat 5
NATv2_MobileNetv2
  normal: null:0>2 conv_1x1:1>2 null:0>3 sep_conv_3x3:2>3 skip_connect:0>4 conv_1x1:3>4 skip_connect:1>5 skip_connect:4>5 | concat 5
  reduce: null:0>2 skip_connect:1>2 skip_connect:0>3 sep_conv_3x3:2>3 null:0>4 conv_1x1:3>4 null:0>5 skip_connect:4>5 | concat 5
NAONet
  normal: conv_3x3:0>2 avg_pool_5x5:1>2 conv_3x3:1>3 conv_1x3_3x1:2>3 conv_1x1:0>4 conv_3x3:1>4 conv_1x3_3x1:0>5 conv_3x3:4>5 conv_3x3:0>6 skip_connect:1>6 | concat 3 5 6
  reduce: conv_3x3:0>2 avg_pool_2x2:1>2 conv_1x1:0>3 avg_pool_3x3:0>3 max_pool_2x2:0>4 conv_1x7_7x1:1>4 avg_pool_3x3:0>5 conv_1x1:2>5 conv_3x3:0>6 max_pool_3x3:1>6 | concat 3 4 5 6
NAT_NAONet
  normal: conv_3x3:0>2 avg_pool_5x5:1>2 null:1>3 conv_1x3_3x1:2>3 conv_1x1:0>4 skip_connect:1>4 conv_1x3_3x1:0>5 conv_3x3:4>5 conv_3x3:0>6 skip_connect:1>6 | concat 3 5 6
  reduce: null:0>2 avg_pool_3x3:1>2 conv_1x1:0>3 avg_pool_3x3:0>3 skip_connect:0>4 conv_1x7_7x1:1>4 avg_pool_3x3:0>5 skip_connect:2>5 conv_3x3:0>6 max_pool_3x3:1>6 | concat 3 4 5 6
NATv2_NAONet
  normal: conv_3x3:0>2 avg_pool_5x5:1>2 conv_3x3:1>3 conv_1x3_3x1:2>3 max_pool_3x3:0>4 conv_3x3:1>4 max_pool_3x3:0>5 conv_3x3:4>5 sep_conv_3x3:0>6 skip_connect:1>6 | concat 3 5 6
  reduce: conv_3x3:0>2 skip_connect:1>2 avg_pool_3x3:0>3 avg_pool_3x3:0>3 max_pool_2x2:0>4 conv_1x7_7x1:1>4 skip_connect:0>5 skip_connect:2>5 max_pool_3x3:0>6 max_pool_3x3:1>6 | concat 3 4 5 6
"""
