"""The one pattern of the package: a part is a frozen, keyword-only dataclass whose fields are its hyperparameters.

A part is described by its class name and its fields, so it can be hashed, flattened into record columns and changed
field by field. A name that does not exist is a `ValueError` with the nearest name that does.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
Known = dict[int, tuple[object, str]]


def misspelt(kind: str, name: object, valid: Iterable[object]) -> ValueError:
    """The error for a name that is not one of `valid`: names it, and the nearest valid one."""
    names = [str(v) for v in valid]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(names)}"
    return ValueError(f"{kind} {str(name)!r} does not exist; {hint}")


def one_of(owner: object, field: str, valid: Iterable[object]) -> None:
    """Raise `ValueError` unless the field's value is one of `valid`."""
    value = getattr(owner, field)
    if value not in (options := list(valid)):
        raise misspelt(f"{type(owner).__name__}.{field} =", value, options)


def at_least(owner: object, **bounds: float) -> None:
    """Raise `ValueError` unless each named field is a number of its declared kind and not below its bound."""
    whole = _whole_fields(type(owner))
    for field, bound in bounds.items():
        value = getattr(owner, field)
        if not (_is_number(value, whole=field in whole) and value >= bound):
            raise _not_a_number(owner, field, f">= {bound}")


def above(owner: object, **bounds: float) -> None:
    """Raise `ValueError` unless each named field is a number of its declared kind and above its bound."""
    whole = _whole_fields(type(owner))
    for field, bound in bounds.items():
        value = getattr(owner, field)
        if not (_is_number(value, whole=field in whole) and value > bound):
            raise _not_a_number(owner, field, f"> {bound}")


# asked for each of many thousand trials, and dataclasses.fields looks anew each time
_NAMES: dict[type, tuple[str, ...]] = {}
_WHOLE: dict[type, frozenset[str]] = {}


def _field_names(cls: type) -> tuple[str, ...]:
    if cls not in _NAMES:
        _NAMES[cls] = tuple(f.name for f in dataclasses.fields(cls))
    return _NAMES[cls]


def _whole_fields(cls: type) -> frozenset[str]:
    """The fields that are declared as whole numbers."""
    if cls not in _WHOLE:
        _WHOLE[cls] = frozenset(f.name for f in dataclasses.fields(cls) if f.type in (int, "int", "int | None"))
    return _WHOLE[cls]


def _is_number(value: object, *, whole: bool) -> bool:
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)


def _not_a_number(owner: object, field: str, bound: str) -> ValueError:
    kind = "whole number" if field in _whole_fields(type(owner)) else "number"
    return ValueError(f"{type(owner).__name__}.{field} = {getattr(owner, field)!r} must be a {kind} {bound}")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def part(cls: type[T]) -> type[T]:
    """Make `cls` a part."""
    cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    built_init = cls.__init__
    names = dict.fromkeys(_field_names(cls))
    needed = [
        f.name
        for f in dataclasses.fields(cls)  # type: ignore[arg-type]
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]

    def __init__(self: Any, *args: Any, **fields: Any) -> None:
        if not fields.keys() <= names.keys():
            unknown = next(name for name in fields if name not in names)
            raise misspelt(f"field of {cls.__name__}", unknown, names)
        if args:
            raise ValueError(f"{cls.__name__} takes its fields by name: {', '.join(names)}")
        if missing := [name for name in needed if name not in fields]:
            raise ValueError(f"{cls.__name__} needs {', '.join(missing)}")
        built_init(self, **fields)

    cls.__init__ = __init__  # type: ignore[method-assign]
    return cls


def is_part(value: object) -> bool:
    """Whether `value` is a part (an instance, not the class)."""
    return hasattr(type(value), "__dataclass_fields__")


def describe(value: Any) -> Any:
    """`value` as plain JSON: a part becomes its fields plus its class name under `part`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_part(value):
        fields = {name: describe(getattr(value, name)) for name in _field_names(type(value))}
        return {"part": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [describe(v) for v in value]
    raise ValueError(f"{value!r} cannot be recorded: use a part, a number, a string, a list or None")


def flatten(value: Any) -> dict[str, Any]:
    """The part's description as dotted names: `{"generator": "DCGANGenerator", "generator.depth": 4, ...}`."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, node: Any) -> None:
        if isinstance(node, dict):
            if "part" in node and prefix:
                flat[prefix] = node["part"]
            for key, child in node.items():
                if key != "part":
                    walk(f"{prefix}.{key}" if prefix else key, child)
        else:
            flat[prefix] = json.dumps(node) if isinstance(node, list) else node

    walk("", describe(value))
    return flat


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def content_id(value: Any, length: int = 12, known: Known | None = None) -> str:
    """The first hex digits of the SHA-256 of the description's canonical JSON.

    `known` holds what need not be worked out again, see `canonical`.
    """
    text = _CANONICAL.encode(describe(value)) if known is None else _canonical(value, known)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def canonical(value: Any) -> Known:
    """The canonical JSON of every part in `value`, by its identity, which the part keeps as long as it is here.

    For the ids of many trials that have the same parts of a study.
    """
    found: Known = {}
    inner: Iterable[Any] = ()
    if is_part(value):
        found[id(value)] = value, _CANONICAL.encode(describe(value))
        inner = (getattr(value, name) for name in _field_names(type(value)))
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, (tuple, list)):
        inner = value
    for one in inner:
        found |= canonical(one)
    return found


def _canonical(value: Any, known: Known) -> str:
    """What `_CANONICAL` makes of a description, put together from what is known."""
    if value is None or type(value) is int:
        return "null" if value is None else repr(value)
    if not is_part(value):
        return _CANONICAL.encode(describe(value))
    if id(value) in known:
        return known[id(value)][1]
    fields = {name: _canonical(getattr(value, name), known) for name in _field_names(type(value))}
    fields["part"] = f'"{type(value).__name__}"'
    return "{" + ",".join([f'"{name}":{fields[name]}' for name in sorted(fields)]) + "}"


def override(value: T, changes: Mapping[str, Any]) -> T:
    """A copy of the part with the fields at the dotted paths replaced, all at once and parents before their fields.

    So a change of `constraint` and one of `constraint.weight` go together in either order, and no half-changed part is
    ever checked. An unknown name raises with the nearest one.
    """
    if not changes:
        return value
    if not is_part(value):
        raise ValueError(f"{next(iter(changes))!r} cannot be set on {value!r}, which has no fields")
    names = _field_names(type(value))
    whole: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for path, new in changes.items():
        head, _, rest = path.partition(".")
        if head not in names:
            raise misspelt(f"field of {type(value).__name__}", head, names)
        if rest:
            inner.setdefault(head, {})[rest] = new
        else:
            whole[head] = new
    for head, nested in inner.items():
        whole[head] = override(whole.get(head, getattr(value, head)), nested)
    return dataclasses.replace(value, **whole)  # type: ignore[type-var]
