"""What a benchmark found: a table to read, and NAME.json to keep, in benchmarks/results unless told otherwise."""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

RESULTS = Path(__file__).with_name("results")
Row = dict[str, Any]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark, with what all of them take."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--results", type=Path, default=RESULTS, help="the folder that keeps what was found")
    return made


def told(name: str, rows: Sequence[Row], folder: Path = RESULTS) -> str:
    """Write the rows as JSON, with what they were measured on; returns them as a table."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}
    (folder / f"{name}.json").write_text(json.dumps({**machine, "rows": rows}, indent=2) + "\n")
    return table(rows)


def table(rows: Sequence[Row]) -> str:
    """Rows as text."""
    return tabulate(rows, headers="keys", tablefmt="simple", floatfmt=".3g", intfmt=",")


def kept(name: str, folder: Path = RESULTS) -> list[Row]:
    """The rows that `told` wrote."""
    return json.loads((folder / f"{name}.json").read_text())["rows"]
