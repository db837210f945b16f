"""What a Git revision, or the project's files as they are, say of an evaluation: scores per clip, and parameters.

Only what is in Git is read, so that any clone can do it: data/metrics/, or data/cells/TABLE/CELL/ with a folder a seed.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import numbers, rows_of
from pipeline.foundation.params_file import PARAMS_FILE, parse_yaml

METRICS, CELLS, TABLES = "data/metrics", "data/cells", Path("tables/params.yaml")
NOW = "."  # the files as they are
CELL = re.compile(r"[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+")
COLUMNS = ("clip_id", "group", "protocol", "ciou", "label")
YARDSTICKS = ("area", "ciou_centre", "ciou_full")  # these follow from a clip's truth and the protocol alone


@dataclass(frozen=True)
class Files:
    """The project's files in one state."""

    name: str  # as the user wrote it
    commit: str | None  # None: as they are

    @classmethod
    def of(cls, revision: str) -> "Files":
        """The files of a revision that Git knows; raises UserError where it knows none of that name."""
        if revision == NOW:
            return cls("the files as they are", None)
        found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if found is None:
            raise UserError(
                f"{revision}: no revision of this repository; accepted: a commit, a branch, a tag, HEAD~1, "
                f"or {NOW} for the files as they are, each with :TABLE/CELL for a cell"
            )
        return cls(revision, found.decode().strip())

    def read(self, path: str) -> str:
        """The text of a file; raises UserError where it is not there."""
        try:
            content = Path(path).read_bytes() if self.commit is None else _git("show", f"{self.commit}:./{path}")
        except OSError:
            content = None
        if content is None:
            raise self.lacks(path)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.place(path)}: no UTF-8 text ({error}); make it again") from error

    def seeds(self, folder: str) -> list[int]:
        """The numbers N of its folders seed-N, in order."""
        if self.commit is None:
            paths = [path.name for path in Path(folder).glob("seed-*")]
        else:
            listed = _git("ls-tree", "-d", "--name-only", self.commit, f"./{folder}/") or b""
            paths = [Path(line).name for line in listed.decode().splitlines()]
        return sorted(int(name.removeprefix("seed-")) for name in paths if re.fullmatch(r"seed-\d+", name))

    def place(self, path: str) -> str:
        """What a message calls a file."""
        return path if self.commit is None else f"{self.name}:{path}"

    def lacks(self, path: str) -> UserError:
        """The error that says that a file is not there."""
        if self.commit is None:
            return UserError(f"{path}: not there; `dvc repro`, or `make table` for cells, makes it")
        return UserError(f"{self.name}: has no {path}; name a revision in which it was committed")


def _git(*arguments: str) -> bytes | None:
    """What git prints; None where it refuses. Outside of a repository nothing that a command asks can be answered."""
    try:
        done = subprocess.run(["git", *arguments], check=False, capture_output=True)  # noqa: S603, S607  no shell, and the user's own git
    except FileNotFoundError as error:
        raise UserError("git: not found; install it, revisions are its") from error
    if b"not a git repository" in done.stderr.lower():
        raise UserError(f"{Path.cwd()}: no Git repository; run from the folder of a clone")
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Scored:
    """A clip's score under a protocol."""

    ciou: float
    group: str
    label: str
    yardsticks: dict[str, float]


@dataclass(frozen=True)
class Run:
    """The scores of one training run; protocol -> clip_id -> score, clips without a box left out."""

    figures: dict[str, Any]  # of eval.json
    scores: dict[str, dict[str, Scored]]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the runs of one setting."""

    files: Files
    folder: str
    runs: list[Run]
    params: dict[str, Any]  # "group.key" -> value

    @property
    def seeds(self) -> list[int]:
        """Of the runs."""
        return [run.figures["seed"] for run in self.runs]

    @property
    def protocols(self) -> list[str]:
        """Under which every run was scored, in order."""
        return [p for p in self.runs[0].scores if all(p in run.scores for run in self.runs)]


def read_side(text: str, cell: str | None) -> Side:
    """Read what REV or REV:TABLE/CELL names; `cell` where the text has none of its own."""
    revision, colon, tail = text.rpartition(":")
    if colon and CELL.fullmatch(tail):
        cell = tail
    else:
        revision = text
    files = Files.of(revision)
    params = _mapping(files, str(PARAMS_FILE))
    if not all(isinstance(group, dict) for group in params.values()):
        raise UserError(f"{files.place(str(PARAMS_FILE))}: not all of it are groups; `usol check` says what is wrong")
    if cell is None:
        return Side(files, METRICS, [_read_run(files, METRICS)], _flat(params))
    if not CELL.fullmatch(cell):
        raise UserError(f"--cell: got {cell!r}; accepted: TABLE/CELL, such as controls/method")
    folder = f"{CELLS}/{cell}"
    runs = [_read_run(files, f"{folder}/seed-{seed}") for seed in files.seeds(folder)]
    if not runs:
        raise files.lacks(f"{folder}/seed-0")
    overrides = _overrides(files, cell)
    merged = {group: {**params.get(group, {}), **overrides.get(group, {})} for group in {**params, **overrides}}
    flat = _flat(merged)
    flat.pop("train.seed", None)  # each run has its own
    return Side(files, folder, runs, flat)


def _overrides(files: Files, cell: str) -> dict[str, dict[str, Any]]:
    """What a cell changes of the root's parameters."""
    table, name = cell.split("/")
    try:
        return {group: dict(keys) for group, keys in _mapping(files, str(TABLES))[table][name].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{files.place(str(TABLES))}: has no cell {cell}; name one that it has") from error


def _mapping(files: Files, path: str) -> dict[str, Any]:
    content = parse_yaml(files.read(path), files.place(path))
    if not isinstance(content, dict):
        raise UserError(f"{files.place(path)}: holds no mapping; name a revision in which it does")
    return content


def _flat(params: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested parameters as "group.key" -> value."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) and value else {f"{above}{key}": value}
    return flat


def _read_run(files: Files, folder: str) -> Run:
    path = f"{folder}/eval.json"
    try:
        figures = json.loads(files.read(path))
        told = {name: figures[name] for name in ("system", "split", "seed", "device", "precision")}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{files.place(path)}: not what the stage evaluate writes ({error}); make it again") from error
    path = f"{folder}/clips.csv"
    place = files.place(path)
    scores: dict[str, dict[str, Scored]] = {}
    for line, row in rows_of(StringIO(files.read(path), newline=""), COLUMNS, place):
        of_protocol = scores.setdefault(row["protocol"], {})
        if row["clip_id"] in of_protocol:
            raise UserError(f"{place}:{line}: {row['clip_id']} occurs twice; make it again")
        if row["ciou"]:  # a clip without a box has none
            of_protocol[row["clip_id"]] = _scored(row, f"{place}:{line}")
    return Run(told, scores)


def _scored(row: dict[str, str], place: str) -> Scored:
    known = [name for name in YARDSTICKS if row.get(name)]
    ciou, *yardsticks = numbers(row, ("ciou", *known), place)
    if not 0 <= ciou <= 1:
        raise UserError(f"{place}: ciou is {ciou:g}; accepted: 0 to 1")
    return Scored(ciou, row["group"], row["label"], dict(zip(known, yardsticks, strict=True)))
