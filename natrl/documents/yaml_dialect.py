"""YAML as natrl reads and writes it: PyYAML's safe loader and dumper, with numbers as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["Dumper", "Loader"]


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with 1e-4 read as a number (as YAML 1.2 does) and keys given twice refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key)
            if not isinstance(name, str | int | float | None):
                raise yaml.constructor.ConstructorError(None, None, "names are text", key.start_mark)
            if name in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r:.60} is given twice", key.start_mark)
            keys.add(name)
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes text that `Loader` would read as a number."""


for _class in (Loader, Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
