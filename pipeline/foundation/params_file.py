"""params.yaml, read and checked: every mistake is told at once, with what would be accepted in its place."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.foundation.agreement import disagreements
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import KINDS, MAPPINGS, Params

PARAMS_FILE = Path("params.yaml")


def read_yaml(path: Path) -> Any:
    """What a YAML 1.2 file holds, in plain Python types.

    Raises UserError where the file is missing, unreadable or not YAML.
    """
    try:
        return parse_yaml(path, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run from the project's folder") from error


def parse_yaml(content: Path | str, place: str) -> Any:
    """The same of a file, or of the text of one that messages call `place`."""
    try:
        return YAML(typ="safe", pure=True).load(content)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{place}{line}: not valid YAML ({problem}); mend that line") from error


def load(
    path: Path = PARAMS_FILE, overrides: Mapping[str, Mapping[str, object]] | None = None, place: str | None = None
) -> Params:
    """Read and check parameters; `overrides` replaces keys of groups, as a cell of a table does.

    Raises UserError with one line for each mistake, beginning with `place`: the file, unless the caller knows better.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path}: holds no parameter groups; accepted: {', '.join(Params.model_fields)}")
    for group, values in (overrides or {}).items():
        raw[group] = {**(raw.get(group) or {}), **values}
    return check(raw, place or str(path))


def check(raw: Mapping[str, object], place: str = str(PARAMS_FILE)) -> Params:
    """Params of plain values.

    Raises UserError that names every mistake: key, value seen, what would be accepted.
    """
    lines: list[str] = []
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        params = None
        lines = [_mistake(e["loc"], e["type"], e["input"]) for e in error.errors(include_url=False)]
    lines += disagreements(raw)
    if params is None or lines:
        raise UserError("\n".join(f"{place}: {line}" for line in lines))
    return params


def _mistake(loc: tuple[int | str, ...], kind: str, seen: object) -> str:
    """One line on one mistake at the place `loc`."""
    keys = [str(part) for part in loc if part != "[key]"]
    tag = keys.pop(2) if len(keys) > 2 and keys[0] == "proposers" else None
    place = ".".join(keys)
    parent, known = _model_at(keys[:-1], tag)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{place}: unknown key; {hint}accepted: {', '.join(known)}"
    if kind == "missing":
        return f"{place}: missing; accepted: {_accepted(parent, keys[-1])}"
    if "[key]" in loc:
        return f"{place}: not a name; accepted: letters, digits and _"
    if len(keys) == 2 and keys[0] in MAPPINGS:  # a whole entry of a mapping
        return f"{place}: got {seen!r}; accepted: a mapping with {', '.join(MAPPINGS[keys[0]].model_fields)}"
    while keys and keys[-1] not in known:  # inside a list or a union: the field is what the user wrote
        keys.pop()
        parent, known = _model_at(keys[:-1], tag)
    return f"{'.'.join(keys)}: got {seen!r}; accepted: {_accepted(parent, keys[-1]) if keys else 'a mapping of groups'}"


def _model_at(keys: list[str], tag: str | None) -> tuple[type[BaseModel], list[str]]:
    """The model that the keys lead to and the names of its fields; tag: the kind of an entry of `proposers`."""
    model: type[BaseModel] = Params
    for depth, key in enumerate(keys):
        if depth == 1 and keys[0] in MAPPINGS:
            model = KINDS[tag] if tag else MAPPINGS[keys[0]]
        elif key in model.model_fields and key not in MAPPINGS:
            annotation = model.model_fields[key].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return model, list(model.model_fields)


def _accepted(model: type[BaseModel], key: str) -> str:
    """What a field accepts, in words, from its JSON schema."""
    field = model.model_fields[key]
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return f"a mapping with {', '.join(field.annotation.model_fields)}"
    return _words(model.model_json_schema()["properties"][key])


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"a list of at least {schema.get('minItems', 0)} of: {_words(schema['items'])}"
    if schema.get("minProperties"):
        return "a mapping with at least one entry"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    limits = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    words = [f"{sign} {schema[limit]:g}" for limit, sign in limits.items() if limit in schema]
    if "multipleOf" in schema:
        words.append(f"a multiple of {schema['multipleOf']:g}")
    name = names.get(schema.get("type", ""), "null" if schema.get("type") == "null" else "a mapping")
    return ", ".join([name, *words])
