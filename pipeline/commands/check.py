"""`usol check`: everything that can be wrong before the first long computation, a line each."""

import os
import sys
from pathlib import Path

from pipeline.foundation.errors import UserError
from pipeline.foundation.params import PARAMS_FILE, Params, load

DATA = Path("data")


def run() -> None:
    """Print what was checked; exits with status 1 where something is wrong."""
    try:
        params = load()
    except UserError as error:
        sys.exit(str(error))
    problems = [problem for problem in (_writable(DATA), _writable(Path()), _root(params)) if problem]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{PARAMS_FILE}: every key is known and its value accepted")
    print(f"source.root: {params.source.root} ({_told(params)})")
    print(f"{DATA}/: can be written, {_free(DATA):.0f} GB free")


def _writable(folder: Path) -> str | None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        return f"{folder}: cannot be made ({error.strerror}); free the name or change the rights of the folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder.resolve()}: cannot be written; change its rights (chmod u+w) or work in a copy of the project"
    return None


def _root(params: Params) -> str | None:
    root, watch = Path(params.source.root), Path(params.source.watch)
    world = _world_of(root)
    if world is not None:
        if world not in params.worlds:
            known = ", ".join(params.worlds) or "none"
            return f"params.yaml: source.root: {root} is no world of params.yaml; worlds there: {known}"
    elif not root.is_dir():
        return f"params.yaml: source.root: {root} is no folder; set it to the folder of your clips"
    elif not os.access(root, os.R_OK | os.X_OK):
        return f"params.yaml: source.root: {root} cannot be read; change its rights (chmod u+rx)"
    elif not watch.exists():
        return f"params.yaml: source.watch: {watch} does not exist; set it to source.root, {root}"
    return None


def _world_of(root: Path) -> str | None:
    """The name of the world that the root is, or lies in; None for any other folder."""
    parts = Path(os.path.normpath(root)).parts
    return parts[2] if parts[:2] == ("data", "worlds") and len(parts) > 2 else None


def _told(params: Params) -> str:
    root = Path(params.source.root)
    return "a folder that is there" if root.is_dir() else f"a world that stage world@{_world_of(root)} makes"


def _free(folder: Path) -> float:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize / 1e9
