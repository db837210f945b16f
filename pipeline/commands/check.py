"""`usol check`: what can be told of params.yaml, the source's root and the data folder before any long computation.

All that is wrong is said at once, a line each; with a table's name, also what is wrong with its cells.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.foundation import listing
from pipeline.foundation.agreement import world_of
from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Params
from pipeline.foundation.params_file import PARAMS_FILE, load

DATA = Path("data")
CHECKPOINT = ("model.safetensors", "model.json")  # as foundation/checkpoints.py has it, which imports torch


def run(table: str | None) -> None:
    """Print what was checked; exits with status 1 where something is wrong."""
    try:
        params = load()
        if table is not None:
            from pipeline.commands.cell import read_table  # noqa: PLC0415  imports torch, which a check can do without

            read_table(table)
        if params.runtime.device not in ("auto", "cpu"):
            from pipeline.foundation.devices import device_of  # noqa: PLC0415  likewise

            device_of(params.runtime.device)
    except UserError as error:
        sys.exit(str(error))
    problems = [*_unwritable(), *_of_root(params), *_of_lists(params), *_of_weights(params)]
    problems += [*_of_init(params), *_of_detectors(params)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{PARAMS_FILE}: every key is known and its value accepted")
    print(f"source.root: {params.source.root} ({_told(params)})")
    print(f"{DATA}/: can be written, {_free(DATA):.0f} GB free")


def _unwritable() -> Iterator[str]:
    """The project's folder, data/ and what lies directly in it and in the scratch folder."""
    try:
        DATA.mkdir(exist_ok=True)
    except OSError as error:
        yield f"{DATA}: cannot be made ({error.strerror}); free the name or change the rights of the folder"
        return
    for folder in (Path(), DATA, *DATA.glob("*/"), SCRATCH, *SCRATCH.glob("*/")):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            yield (
                f"{folder.resolve()}: cannot be written; change its rights (chmod u+w) or work in a copy of the project"
            )


def _of_root(params: Params) -> Iterator[str]:
    root, watch = Path(params.source.root), Path(params.source.watch)
    world = world_of(params.source.root)
    if world is not None:
        if world not in params.worlds:
            known = ", ".join(params.worlds) or "none"
            yield f"{PARAMS_FILE}: source.root: {root} is no world of params.yaml; worlds there: {known}"
        return
    if not params.source.root or not root.is_dir():
        yield f"{PARAMS_FILE}: source.root: {root} is no folder; set it to the folder of your clips"
    elif not os.access(root, os.R_OK | os.X_OK):
        yield f"{PARAMS_FILE}: source.root: {root} cannot be read; change its rights (chmod u+rx)"
    elif root.resolve() in (DATA.resolve(), *DATA.resolve().parents) or DATA.resolve() in root.resolve().parents:
        yield f"{PARAMS_FILE}: source.root: {root} holds, or lies in, what the stages write; move the clips elsewhere"
    elif not watch.exists():
        yield (
            f"{PARAMS_FILE}: source.watch: {watch} does not exist; set it to source.root, {root}, or let `usol list` "
            "write it"
        )
    elif watch.is_file():
        listing.sizes(watch)
    else:
        yield from _unwatchable(watch)


def _of_lists(params: Params) -> Iterator[str]:
    if world_of(params.source.root) is not None:  # which may not be made yet
        return
    for key in ("train_list", "test_list", "silent_list"):
        name = getattr(params.source, key)
        if name is not None and not (path := Path(params.source.root) / name).is_file():
            yield f"{PARAMS_FILE}: source.{key}: {path} is no file; put it there, name another, or set it to null"


def _unwatchable(folder: Path) -> Iterator[str]:
    """What DVC cannot take the state of: links to nothing, and names that are no text."""
    for path in folder.rglob("*"):
        name = os.fsencode(path)
        if name != str(path).encode(errors="replace"):
            yield f"{name!r}: its name is no UTF-8 text; rename it"
        elif path.is_symlink() and not path.exists():
            yield f"{path}: a link that leads nowhere; remove it or mend it"


def _of_weights(params: Params) -> Iterator[str]:
    named = {"listen.weights": params.listen.weights, "train.vision_weights": params.train.vision_weights}
    for key, weights in named.items():
        if weights is not None and not Path(weights).is_file():
            yield f"{PARAMS_FILE}: {key}: {weights} does not exist; put the file there, or name another"


def _of_init(params: Params) -> Iterator[str]:
    init = params.train.init
    missing = [] if init is None else [name for name in CHECKPOINT if not (Path(init) / name).is_file()]
    if missing:
        yield (
            f"{PARAMS_FILE}: train.init: {init} has no {' and no '.join(missing)}; name the folder of an exported "
            "checkpoint, such as a copy of data/model"
        )


def _of_detectors(params: Params) -> Iterator[str]:
    for name, detector in params.detectors.items():
        place, root = f"{PARAMS_FILE}: detectors.{name}", Path(detector.root)
        if detector.weights not in (None, "coco") and not Path(detector.weights).is_file():
            yield f"{place}.weights: {detector.weights} does not exist; put the file there, or name another"
        if world_of(detector.root) is not None:  # which may not be made yet
            continue
        if not root.is_dir():
            yield f"{place}.root: {root} is no folder; set it to the folder of boxed photographs"
            continue
        for key in ("train_list", "val_list"):
            listed = getattr(detector, key)
            if listed is not None and not (root / listed).is_file():
                yield f"{place}.{key}: {root / listed} is no file; put it there, name another, or set it to null"


def _told(params: Params) -> str:
    world = world_of(params.source.root)
    return "a folder that is there" if world is None else f"a world that stage world@{world} makes"


def _free(folder: Path) -> float:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize / 1e9
