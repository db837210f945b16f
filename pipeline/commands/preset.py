"""`usol preset NAME`: the parameters of presets/NAME.yaml, written into params.yaml beside its comments.

A preset says only what differs from presets/default.yaml; every key that any preset touches stands there with the value
of the default world, so that one preset after another leaves nothing of the first. ROOT in a preset stands for the
folder that the user names.
"""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.foundation.errors import UserError
from pipeline.foundation.files import write_whole
from pipeline.foundation.params_file import PARAMS_FILE, check, read_yaml

PRESETS = Path("presets")
BASE = "default"


def run(name: str, root: str | None) -> None:
    """Write a preset's parameters into params.yaml; raises UserError where that would not be accepted."""
    known = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if name not in known:
        raise UserError(f"{PRESETS}: no preset {name!r}; accepted: {', '.join(known)}")
    read_yaml(PARAMS_FILE)  # says in one line what is wrong with it
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.representer.add_representer(type(None), _null)
    params = yaml.load(PARAMS_FILE)
    for layer in (BASE, name):
        _put(params, _with_root(read_yaml(PRESETS / f"{layer}.yaml"), name, root))
    text = StringIO()
    yaml.dump(params, text)
    check(YAML(typ="safe", pure=True).load(text.getvalue()))
    write_whole(PARAMS_FILE, text.getvalue())
    print(f"{PARAMS_FILE}: preset {name}, clips in {params['source']['root']}; go on with make repro")


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _with_root(value: Any, name: str, root: str | None) -> Any:
    """The values of a preset, with the user's folder for ROOT."""
    if isinstance(value, dict):
        return {key: _with_root(part, name, root) for key, part in value.items()}
    if not isinstance(value, str) or not value.startswith("ROOT"):
        return value
    if root is None:
        raise UserError(f"preset {name} needs a folder of clips: make preset NAME={name} ROOT=/path/to/them")
    return root + value.removeprefix("ROOT")


def _put(into: Any, values: dict[str, Any]) -> None:
    """Set values key by key, so that comments stay; an empty mapping replaces what is there."""
    for key, value in values.items():
        if isinstance(value, dict) and value and isinstance(into.get(key), dict):
            _put(into[key], value)
        else:
            into[key] = value
