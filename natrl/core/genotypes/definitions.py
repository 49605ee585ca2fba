"""The architectures that stand in a text: Python source such as a genotypes.py, or the log of a search."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from natrl.core.architecture import Architecture
from natrl.core.genotypes.darts import from_fields, genotype_fields
from natrl.core.genotypes.literals import call_name, expression, module, value
from natrl.core.genotypes.nasbench201 import from_string, from_structure

__all__ = ["Definition", "definitions"]

_STRING = r"\|\w+~\d+(?:\|\w+~\d+)*\|(?:\+\|\w+~\d+(?:\|\w+~\d+)*\|)*"
_IN_LOG = re.compile(rf"(?P<call>(?:\w+\.)*Genotype\()|(?P<structure>\(\(\(\s*['\"])|{_STRING}", re.ASCII)
_NAME_BEFORE = re.compile(r"(\w+)\s*[=:]\s*\Z", re.ASCII)
_TOKEN = re.compile(r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|[()]")


@dataclass(frozen=True)
class Definition:
    """What says an architecture: Genotype(…), a string or structure of NAS-Bench-201."""

    name: str | None
    line: int  # from 1
    said: ast.expr | str

    def read(self) -> Architecture:
        """ValueError says what is wrong."""
        if isinstance(self.said, str) and self.said.startswith("|"):
            return from_string(self.said)
        node = expression(self.said) if isinstance(self.said, str) else self.said
        if isinstance(node, ast.Call | ast.Dict):
            return from_fields(genotype_fields(node))
        return from_structure(value("the structure", node))


def definitions(text: str) -> list[Definition]:
    """In their order. What stands in functions, classes, comments and docstrings of Python source does not count."""
    tree = module(text)
    if tree is None:
        return list(_in_log(text))
    found: list[Definition] = []
    for statement in _statements(tree.body):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and len(tree.body) > 1:
            continue  # a docstring
        name, node = _assigned(statement)
        if isinstance(node, ast.Name) and name:  # DARTS = DARTS_V2
            found += [replace(d, name=name, line=statement.lineno) for d in found if d.name == node.id]
        elif node is not None:
            found += _said(name, node)
    return found


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the source is imported, those of `if`, `try` and `with` among them."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, part, ()))
        else:
            yield statement


def _assigned(statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """The name and value of NAME = value; only a value where nothing, or more than one name, is assigned."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=None, annotation=node):  # "best: Genotype(…)" in a log
            return name, node
        case ast.Assign(targets=[ast.Name(id=name)], value=node) | ast.AnnAssign(target=ast.Name(id=name), value=node):
            return name, node
        case ast.Assign(value=node) | ast.Expr(value=node):
            return None, node
    return None, None


def _said(name: str | None, node: ast.expr) -> Iterator[Definition]:
    """The architectures of an expression: itself, or those that it holds."""
    if _is_genotype(node) or _is_structure(node):
        yield Definition(name, node.lineno, node)
        return
    match node:
        case ast.Constant(value=str() as text) if "|" in text or "Genotype(" in text:
            yield from (replace(d, name=name, line=node.lineno) for d in _quoted(text))
        case ast.Dict(keys=keys, values=values):
            for key, part in zip(keys, values, strict=True):
                yield from _said(key.value if isinstance(key, ast.Constant) and type(key.value) is str else None, part)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _said(None, part)
        case ast.Call(args=args, keywords=keywords):
            for part in args:
                yield from _said(None, part)
            for keyword in keywords:
                yield from _said(keyword.arg, keyword.value)


def _quoted(text: str) -> list[Definition]:
    return [Definition(None, 1, text.strip())] if text.strip().startswith("|") else definitions(text)


def _is_genotype(node: ast.expr) -> bool:
    if isinstance(node, ast.Dict):
        return {"normal", "reduce"} <= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    name = call_name(node)
    if name is None or not isinstance(node, ast.Call):
        return False
    return "normal" in {k.arg for k in node.keywords} or (name == "Genotype" and bool(node.args or node.keywords))


def _is_structure(node: ast.expr) -> bool:
    """Three nodes of one, two and three slots, each a tuple or list, as NATS-Bench's Structure holds them."""
    nodes = _parts(node)
    return [len(_parts(part)) for part in nodes] == [1, 2, 3] and all(_parts(s) for n in nodes for s in _parts(n))


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple | ast.List) else []


def _in_log(text: str) -> Iterator[Definition]:
    """Wherever an architecture begins in text that is no Python; one without an end goes on to the end of its line."""
    end = 0
    for start in _IN_LOG.finditer(text):
        if start.start() < end:
            continue
        opened = start["call"] or start["structure"]
        end = _closing(text, start.start()) if opened else start.end()
        name = _NAME_BEFORE.search(text, max(0, start.start() - 80), start.start())
        line = text.count("\n", 0, start.start()) + 1
        yield Definition(name[1] if name else None, line, text[start.start() : end])


def _closing(text: str, start: int) -> int:
    """Where the first bracket from `start` on is closed, or its line ends."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth and token[0] == ")":
            return token.end()
    end = text.find("\n", start)
    return len(text) if end < 0 else end
