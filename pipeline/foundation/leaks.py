"""Leaks: what is in two splits at once, and what happens then.

`leaks.csv`  clip_id, split, other_clip_id, other_split, by. `split` is the later one of train, val, test: what is
             measured leaks from what was trained on, or chosen by. `by`: `id`, the same item in the data set's lists;
             `video`, the same group (the source video, the photograph); `frame` and `sound`, the same content. Every
             clip that takes part stands in at least one row, not every pair.

Stage `source` writes the first two kinds into data/source, stage `extract` the last two into data/rejected.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, cast, get_args

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SPLITS, Split, read_rows, write_rows

log = logging.getLogger(__name__)

By = Literal["id", "video", "frame", "sound"]
KINDS: tuple[By, ...] = get_args(By)
LEAKS = "leaks.csv"
NAMED = 3  # leaks that a message names


@dataclass(frozen=True, order=True)
class Leak:
    """A clip of a split that is also, as another clip or as itself, in an earlier one."""

    clip_id: str
    split: Split
    other_clip_id: str
    other_split: Split
    by: By


def between(by: By, clips: Iterable[tuple[str, Split]]) -> set[Leak]:
    """The leaks among clips that are all the same thing: each with the first of another split, in both directions."""
    of_split: dict[Split, list[str]] = {split: [] for split in SPLITS}
    for clip_id, split in sorted(clips):
        of_split[split].append(clip_id)
    leaks: set[Leak] = set()
    for place, later in enumerate(SPLITS):
        for earlier in SPLITS[:place]:
            if of_split[later] and of_split[earlier]:
                first_later, first_earlier = of_split[later][0], of_split[earlier][0]
                leaks |= {Leak(clip_id, later, first_earlier, earlier, by) for clip_id in of_split[later]}
                leaks |= {Leak(first_later, later, clip_id, earlier, by) for clip_id in of_split[earlier]}
    return leaks


def settle(leaks: Collection[Leak], folder: Path, place: str, accepted: bool) -> None:
    """Write leaks.csv into a folder; raise UserError where there are any, unless the user accepts them."""
    path = folder / LEAKS
    rows = sorted(leaks)
    write_rows(path, [field.name for field in fields(Leak)], map(astuple, rows))
    if not rows:
        return
    found = f"{place}: {_told(rows)}; all of them: {path}"
    if not accepted:
        raise UserError(
            f"{found}; put what belongs together into one split (the same `group` in the source's clips.csv), take one "
            "of them away, or set source.accept_leaks: true, and eval.json counts them"
        )
    log.warning("%s; accepted (source.accept_leaks), eval.json counts them", found)


def _told(rows: list[Leak]) -> str:
    """How many clips leak, by what, and the first few."""
    clips = len({(row.split, row.clip_id) for row in rows})
    kinds = ", ".join(f"{count} by {by}" for by in KINDS if (count := len({r.clip_id for r in rows if r.by == by})))
    first = "; ".join(
        f"{row.split} {row.clip_id} is {row.other_split} {row.other_clip_id} ({row.by})" for row in rows[:NAMED]
    )
    more = "; ..." if len(rows) > NAMED else ""
    return f"{clips} clip{'s' * (clips > 1)} in two splits at once, {kinds}: {first}{more}"


def read(folder: Path) -> list[Leak]:
    """Read what `settle` wrote."""
    names = [field.name for field in fields(Leak)]
    rows = read_rows(folder / LEAKS, names)
    return [
        Leak(
            row["clip_id"],
            cast(Split, row["split"]),
            row["other_clip_id"],
            cast(Split, row["other_split"]),
            cast(By, row["by"]),
        )
        for _, row in rows
    ]


def counts(folders: Iterable[Path], clip_ids: Collection[str], split: Split) -> dict[By, int]:
    """How many of these clips of a split leak from an earlier one, by each kind; one clip may count in several."""
    measured = set(clip_ids)
    rows = [row for folder in folders for row in read(folder) if row.split == split and row.clip_id in measured]
    return {by: len({row.clip_id for row in rows if row.by == by}) for by in KINDS}
