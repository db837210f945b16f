"""What a benchmark found: a table to read, and benchmarks/results/NAME.json to keep."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

RESULTS = Path(__file__).with_name("results")
Row = dict[str, Any]


def told(name: str, rows: Sequence[Row]) -> str:
    """Write the rows as JSON, with what they were measured on; returns them as a table."""
    RESULTS.mkdir(exist_ok=True)
    machine = {"machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}
    (RESULTS / f"{name}.json").write_text(json.dumps({**machine, "rows": rows}, indent=2) + "\n")
    return tabulate(rows, headers="keys", tablefmt="simple", floatfmt=".3g")
