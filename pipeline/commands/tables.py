"""`usol tables`: the metrics as tables; `usol tables NAME`: the cells of a table beside its first one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from model.localization import Interval, intervals, per_clip
from pipeline.commands.cell import CELLS, TABLES
from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import read_rows
from pipeline.foundation.params import read_yaml
from pipeline.foundation.randomness import generator

METRICS = Path("data/metrics")
NAMES = {
    "centre": "centred disc",
    "full": "full frame",
    "bottom_up": "bottom-up map alone",
    "prior": "mean of the train boxes",
    "oracle": "oracle (the best possible)",
}
RESAMPLES = 2000


def run(name: str | None) -> None:
    """Print the metrics of the last evaluation, or of a table's cells."""
    print(_main_tables() if name is None else _cell_table(name))


def _main_tables() -> str:
    path = METRICS / "eval.json"
    try:
        figures = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: not there yet; `make repro` or `dvc repro` makes it") from error
    lines = [
        f"{figures['system']}, seed {figures['seed']}, on {figures['n']} clips of {figures['split']} "
        f"({figures['n_annotated']} with boxes, {figures['n_missing']} rejected); 95 % intervals in brackets"
    ]
    for protocol in figures["method"]:
        lines.append("")
        lines.append(
            _protocol_table(figures, protocol) if figures["n_annotated"] else _without_boxes(figures, protocol)
        )
    made = ("metrics/eval.json", "metrics/clips.csv", "metrics/success.csv", "overlays/", "heat/", "model/")
    lines += ["", "written: " + ", ".join(f"data/{name}" for name in made)]
    return "\n".join(lines)


def _protocol_table(figures: dict[str, Any], protocol: str) -> str:
    hard = figures["hard"]["n"]
    rows = [("method", figures["method"][protocol])]
    if hard:
        rows.append((f"method on {hard} hard clips", figures["hard"][protocol]))
    rows.append(("method, wrong sound", figures["wrong_sound"][protocol]))
    if hard:
        rows.append(("method on hard, wrong sound", figures["hard_wrong_sound"][protocol]))
    rows += [(NAMES[name], values[protocol]) for name, values in figures["baselines"].items()]
    cells = [(name, _with_interval(v, "success_rate"), _with_interval(v, "auc"), _lead(v)) for name, v in rows]
    return tabulate(cells, (protocol, "success rate", "AUC", "method leads by"), tablefmt="simple")


def _without_boxes(figures: dict[str, Any], protocol: str) -> str:
    moved = figures["wrong_sound"][protocol]["moved"]
    if moved is None:
        return f"{protocol}: needs boxes, and there are none"
    return f"{protocol}: no boxes to score against; a wrong sound moves {100 * moved:.0f} % of the mask"


def _with_interval(values: dict[str, Any], key: str) -> str:
    return f"{values[key]:.3f} [{values[f'{key}_low']:.2f}, {values[f'{key}_high']:.2f}]"


def _lead(values: dict[str, Any]) -> str:
    if values.get("lead") is None:
        return ""
    return f"{100 * values['lead']:+.0f} points [{100 * values['lead_low']:+.0f}, {100 * values['lead_high']:+.0f}]"


@dataclass(frozen=True)
class Cell:
    """What the seeds of a cell reached: success with the right and with a wrong sound, (seeds, clips)."""

    right: dict[str, NDArray[np.float64]]  # by protocol
    wrong: dict[str, NDArray[np.float64]]
    clip_ids: list[str]
    groups: list[str]
    hard: NDArray[np.bool_]


def _cell_table(table: str) -> str:
    content = read_yaml(TABLES)
    tables = [name for name in content if name != "seeds"]
    if table not in tables:
        raise UserError(f"{TABLES}: no table {table!r}; accepted: {', '.join(tables)}")
    cells = {name: _read_cell(CELLS / table / name, content["seeds"]) for name in content[table]}
    first_name, first = next(iter(cells.items()))
    protocols = list(first.right)
    header = ["cell"]
    for protocol in protocols:
        header += [protocol, "the seeds", f"{first_name} leads by"] if protocol == protocols[0] else [protocol]
    header += ["a wrong sound costs", "on hard clips"]
    rows = []
    for name, cell in cells.items():
        row = [name]
        for protocol in protocols:
            row.append(f"{cell.right[protocol].mean():.3f}")
            if protocol == protocols[0]:
                row.append(" ".join(f"{value:.2f}" for value in cell.right[protocol].mean(axis=1)))
                row.append("" if cell is first else _difference(first, first.right[protocol], cell.right[protocol]))
        main = protocols[0]
        row.append(_difference(cell, cell.right[main], cell.wrong[main]))
        row.append(_difference(cell, cell.right[main], cell.wrong[main], cell.hard) if cell.hard.any() else "")
        rows.append(row)
    rows += _baseline_rows(CELLS / table / first_name / f"seed-{content['seeds'][0]}", protocols, len(header))
    note = (
        f"{len(first.clip_ids)} clips, seeds {', '.join(map(str, content['seeds']))}; points are success rate x 100, "
        "paired by clip, seeds averaged; 95 % intervals over clips"
    )
    return f"{note}\n\n{tabulate(rows, header, tablefmt='simple')}"


def _baseline_rows(folder: Path, protocols: list[str], width: int) -> list[list[str]]:
    baselines = json.loads((folder / "eval.json").read_text())["baselines"]
    rows = []
    for name, values in baselines.items():
        rates = [f"{values[protocol]['success_rate']:.3f}" for protocol in protocols]
        rows.append([NAMES[name], rates[0], "", "", *rates[1:]])
    return [row + [""] * (width - len(row)) for row in rows]


def _difference(
    cell: Cell, one: NDArray[np.float64], other: NDArray[np.float64], part: NDArray[np.bool_] | None = None
) -> str:
    """How many points one has over another, clip by clip, seeds averaged, with an interval over groups."""
    values = (one.mean(axis=0) - other.mean(axis=0))[:, None]
    chosen = slice(None) if part is None else part
    groups = np.asarray(cell.groups)[chosen].tolist()
    (found,) = intervals(values[chosen], groups, RESAMPLES, generator(0, "bootstrap"))
    return _points(found)


def _points(found: Interval) -> str:
    return f"{100 * found.mean:+.0f} [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"


def _read_cell(folder: Path, seeds: list[int]) -> Cell:
    right: dict[str, list[list[float]]] = {}
    wrong: dict[str, list[list[float]]] = {}
    clips: dict[str, dict[str, str]] = {}
    for seed in seeds:
        path = folder / f"seed-{seed}" / "clips.csv"
        if not path.exists():
            raise UserError(f"{path}: not there yet; `make {folder.parent.name}` makes it")
        for by_protocol in (right, wrong):
            for values in by_protocol.values():
                values.append([])
        for _, row in read_rows(path, ("clip_id", "group", "protocol", "ciou", "ciou_wrong_sound", "hard")):
            if not row["ciou"]:
                raise UserError(f"{path}: {row['clip_id']} has no boxes; a table of success rates needs them")
            clips.setdefault(row["clip_id"], row)
            right.setdefault(row["protocol"], [[]])[-1].append(float(row["ciou"]))
            wrong.setdefault(row["protocol"], [[]])[-1].append(float(row["ciou_wrong_sound"]))
    return Cell(
        {protocol: _success(values) for protocol, values in right.items()},
        {protocol: _success(values) for protocol, values in wrong.items()},
        list(clips),
        [row["group"] for row in clips.values()],
        np.array([row["hard"] == "1" for row in clips.values()]),
    )


def _success(ciou: list[list[float]]) -> NDArray[np.float64]:
    return np.stack([per_clip(np.array(values))[:, 0] for values in ciou])
