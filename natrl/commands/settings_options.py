"""Options from the fields of settings: types, help texts and defaults are written once, where the fields are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial, wraps
from keyword import iskeyword
from typing import Annotated, Any, get_origin, NamedTuple

import typer
from annotated_doc import Doc

from natrl.checks.annotations import alternatives
from natrl.checks.fields import defaults_of, field_hints, group_of
from natrl.documents import set_at

__all__ = ["Options", "as_typed", "flag", "leaves", "names_in", "option_of", "with_options"]

_FLAGS = {"num_gpus": "--gpus-per-actor", "num_classes": "--classes", "candidates": "-n", "start": "--from"}
_FLAGS |= {"madds": "--max-madds", "params": "--max-params", "number": "-n", "rules": "--rule", "resource": "--of"}
#: Of a type, or a field.
_METAVARS: dict[Any, str | None] = {int: "N", float: "X", str: "NAME", tuple: "NAMES", bool: None, "image_size": "PX"}
_METAVARS |= {"class_weights": "X,…", "times": "FILE", "device": "cpu|cuda", "budgets": "A,B,…"}
_METAVARS |= {"evaluator": "KIND", "resource": "COST", "runtime": "NAME|module:function"}


class Options(NamedTuple):
    """Annotates a parameter of a command: it becomes an option for each of these fields of a dataclass.

    Its value holds those that were given, nested as the fields are: {"learn": {"iterations": 5}, "seed": 1}.
    """

    settings: type
    names: str  # dotted, spaces between; of NAME? no default is shown, since it depends on other settings
    panel: str | None = None


def flag(name: str) -> str:
    """The option of a field: "--batch-size" of "learn.batch_size"."""
    last = name.rpartition(".")[2]
    return _FLAGS.get(last, f"--{last.replace('_', '-')}")


def as_typed(option: str, value: object) -> str:
    """The option as a user has given it: "--no-distill" where it is "--distill" and not wanted."""
    return f"--no-{option[2:]}" if value is False else option


def _python_name(option: str) -> str:
    name = option.strip("-?").replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


def option_of(settings: type, name: str, **changes: Any) -> Any:
    """The `typer.Option` of a field, by its dotted name (or NAME?, as `Options` has it)."""
    kind, text, default = _field(settings, name.rstrip("?"))
    metavar = _METAVARS.get(name.rstrip("?"), _METAVARS[kind])
    hidden = default in (None, ()) or kind is bool or name.endswith("?")
    shown = True if hidden else ",".join(default) if kind is tuple else str(default)
    own = flag(name.rstrip("?"))
    own += f"/--no-{own[2:]}" if kind is bool and default is True else ""
    return typer.Option(own, **{"help": text, "metavar": metavar, "show_default": shown} | changes)


def names_in(text: str) -> tuple[str, ...]:
    """Names with commas between them. ValueError if there is none."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError(f"expected names with commas between them, got {text!r:.60}")
    return names


def leaves(given: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names of what nested values hold, and the values."""
    for name, value in given.items():
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with options in place of parameters that `Options` annotate, or that are of a dataclass."""
    parameters: dict[str, inspect.Parameter] = {}
    groups: dict[str, tuple[Callable[[dict[str, Any]], Any], dict[str, str]]] = {}
    for p in inspect.signature(command, eval_str=True).parameters.values():
        asked = next((extra for extra in getattr(p.annotation, "__metadata__", ()) if isinstance(extra, Options)), None)
        if asked is not None:
            names = {_python_name(flag(n)): n for n in asked.names.split()}
            made = {own: _of_field(own, asked, name) for own, name in names.items()}
            groups[p.name] = partial(_nested, asked.settings), {own: name.rstrip("?") for own, name in names.items()}
        elif is_dataclass(cls := p.annotation):
            hints: dict[str, Any] = field_hints(cls)  # type: ignore[arg-type]  # no dataclass is unhashable as a class
            made = {f.name: _parameter(f.name, hints[f.name], f.default) for f in fields(cls)}
            groups[p.name] = partial(_built, cls), {name: name for name in made}
        else:
            made = {p.name: p.replace(kind=p.KEYWORD_ONLY)}
        parameters |= made

    @wraps(command)
    def run(**values: Any) -> None:
        for parameter, (make, names) in groups.items():
            values[parameter] = make({name: values.pop(own) for own, name in names.items()})
        command(**values)

    run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return run


def _of_field(own: str, asked: Options, name: str) -> inspect.Parameter:
    option = option_of(asked.settings, name, rich_help_panel=asked.panel)
    kind = _field(asked.settings, name.rstrip("?"))[0]
    return _parameter(own, Annotated[(str if kind is tuple else kind) | None, option], None)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _built(cls: Any, values: dict[str, Any]) -> Any:
    return cls(**values)


def _nested(settings: type, values: dict[str, Any]) -> dict[str, Any]:
    """By dotted names, as nested values; None is not given."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None:
            set_at(found, name, names_in(value) if _field(settings, name)[0] is tuple else value)
    return found


@cache
def _field(settings: Any, name: str) -> tuple[Any, str, Any]:
    """Type, help text and default of a field, by its dotted name; the default None if a group has none."""
    group, default, hint = settings, settings, None
    for part in name.split("."):
        hint = field_hints(group)[part]
        default = defaults_of(default)[part] if isinstance(default, type) else getattr(default, part, None)
        group = group_of(group, part)
    text = next(extra.documentation for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Doc))
    kinds = [get_origin(kind) or kind for kind in alternatives(hint)]
    return next((kind for kind in (bool, int, float, str, tuple) if kind in kinds), str), text, default
