"""Values in the text of a genotype: literals as Python and numpy print them. Nothing is evaluated."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

__all__ = ["call_name", "expression", "module", "value"]

#: Calls that give back what they are given: numpy's numbers and texts, arrays, tensors, lists.
_WRAPPERS = re.compile(r"list|tuple|array|tensor|str_|u?int\d*_?|intp|float\d*")
_LARGEST = 1000  # bound of a range


def module(text: str) -> ast.Module | None:
    """The statements of Python source, or None where the text is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in a text that is not ours
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def expression(text: str) -> ast.expr:
    """The expression that the text is. ValueError says why it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise ValueError(f"malformed genotype: {reason}") from None


def call_name(node: ast.expr) -> str | None:
    """ "Genotype" of the calls Genotype(…) and genotypes.Genotype(…); None of everything else."""
    if not isinstance(node, ast.Call):
        return None
    owner = node.func
    while isinstance(owner, ast.Attribute):
        owner = owner.value
    if not isinstance(owner, ast.Name):
        return None
    return node.func.attr if isinstance(node.func, ast.Attribute) else owner.id


def value(field: str, node: ast.expr) -> Any:
    """Numbers, texts, None, lists and tuples of them, range(…), and what numpy prints around them.

    ValueError, naming the field, of anything else.
    """
    match node:
        case ast.Constant(value=None | str() | int() | float() as constant):
            return constant
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List(elts=parts):
            return [value(field, part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(value(field, part) for part in parts)
        case ast.Call() if call_name(node) == "range" and not node.keywords:
            bounds = [value(field, part) for part in node.args]
            if 1 <= len(bounds) <= 2 and all(type(b) is int and abs(b) <= _LARGEST for b in bounds):
                return range(*bounds)
        case ast.Call(args=[inner]) if _WRAPPERS.fullmatch(call_name(node) or ""):
            if all(keyword.arg in ("dtype", "device") for keyword in node.keywords):
                return value(field, inner)
    raise ValueError(f"malformed genotype: {field} is not a plain list (nothing is evaluated)")
