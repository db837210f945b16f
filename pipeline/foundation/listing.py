"""The list of a root's files: what DVC watches in place of a root of millions of files (`source.watch`).

A CSV file: `path`, relative to the root, and `size` in bytes. What is not on it is not there; a file of another size
has changed since the list was made.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import read_rows, write_rows

COLUMNS = ("path", "size")


def write_list(root: Path, path: Path) -> int:
    """List all files below a root, without hidden ones, by path; returns how many there are."""
    rows = []
    for folder, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file() and not _is_same(file, path):
                rows.append((file.relative_to(root).as_posix(), file.stat().st_size))
    write_rows(path, COLUMNS, sorted(rows))
    return len(rows)


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}); change its rights, and list anew") from error


def _is_same(file: Path, path: Path) -> bool:
    return path.exists() and file.samefile(path)


def sizes(path: Path) -> dict[str, int]:
    """The size in bytes of every file on a list, in its order; raises UserError that names a wrong row."""
    found: dict[str, int] = {}
    for line, row in read_rows(path, COLUMNS):
        if not row["size"].isascii() or not row["size"].isdigit():
            raise UserError(f"{path}:{line}: size is {row['size']!r}; accepted: bytes (`usol list` makes the list)")
        found[row["path"]] = int(row["size"])
    return found


def check(root: Path, path: Path, files: Iterable[str]) -> None:
    """Raise UserError where files of a root are not what its list says; one that is gone is told when it is opened."""
    listed = sizes(path)
    changed = [file for file in files if (root / file).is_file() and listed.get(file) != (root / file).stat().st_size]
    if changed:
        said = listed.get(changed[0])
        raise UserError(
            f"{path}: {len(changed)} files are not as it says, among them {changed[0]} with "
            f"{(root / changed[0]).stat().st_size} bytes ({'not listed' if said is None else f'listed: {said}'}); "
            "make it anew with `usol list`, and run again"
        )
