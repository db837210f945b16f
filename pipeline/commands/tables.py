"""`usol tables`: the metrics as tables; `usol tables NAME`: the cells of a table beside its first one.

Two names are no tables of cells: `parts` (by label, size, and hard or easy), and `protocols` (commands/protocols.py).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.localization import intervals, per_clip
from pipeline.commands.cell import CELLS, Table, read_table
from pipeline.commands.special_tables import as_table, sections, with_interval
from pipeline.foundation.errors import UserError
from pipeline.foundation.figures import PART_COLUMNS
from pipeline.foundation.manifest import read_rows
from pipeline.foundation.randomness import generator

METRICS = Path("data/metrics")
NAMES = {
    "centre": "centred disc",
    "full": "full frame",
    "bottom_up": "bottom-up map alone",
    "prior": "mean of the train boxes",
    "oracle": "oracle (the best possible)",
    "mean_bottom_up": "mean of the train bottom-up maps",
    "centre_voted": "centred disc, voted",
    "bottom_up_voted": "bottom-up map alone, voted",
    "other_boxes": "method, voted by another clip's boxes",
}
RESAMPLES = 2000


def run(name: str | None) -> None:
    """Print the metrics of the last evaluation, or of a table's cells."""
    if name is None:
        print(_main_tables())
    elif name == "parts":
        print(_parts_table())
    else:
        print(_cell_table(name))


def last_evaluation() -> dict[str, Any]:
    """What eval.json holds; raises UserError where nothing was evaluated yet."""
    path = METRICS / "eval.json"
    try:
        figures: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: not there yet; `make repro` or `dvc repro` makes it") from error
    return figures


def _main_tables() -> str:
    figures = last_evaluation()
    lines = [
        f"{figures['system']}, seed {figures['seed']}, on {figures['n']} clips of {figures['split']} "
        f"({figures['n_annotated']} with boxes, {figures['n_missing']} rejected){_voting(figures)}; 95 % intervals in "
        "brackets"
    ]
    for protocol in figures["method"]:
        lines.append("")
        lines.append(
            _protocol_table(figures, protocol) if figures["n_annotated"] else _without_boxes(figures, protocol)
        )
    lines += sections(figures)
    made = ("metrics/eval.json", "metrics/clips.csv", "metrics/success.csv", "overlays/", "heat/", "model/")
    lines += ["", "written: " + ", ".join(f"data/{name}" for name in made)]
    return "\n".join(lines)


def _voting(figures: dict[str, Any]) -> str:
    regions = figures.get("regions")  # before there were votes eval.json said nothing of them
    return "" if regions is None else f"; regions of {regions} vote on the maps"


def _protocol_table(figures: dict[str, Any], protocol: str) -> str:
    if figures["method"][protocol]["success_rate"] is None:
        return f"{protocol}: no clip with boxes to choose its threshold on"
    hard = figures["hard"]["n"]
    rows = [("method", figures["method"][protocol])]
    if hard:
        rows.append((f"method on {hard} hard clips", figures["hard"][protocol]))
    rows.append(("method, wrong sound", figures["wrong_sound"][protocol]))
    if hard:
        rows.append(("method on hard, wrong sound", figures["hard_wrong_sound"][protocol]))
    rows += [(NAMES[name], values[protocol]) for name, values in figures["baselines"].items()]
    cells = [(name, with_interval(v, "success_rate"), with_interval(v, "auc"), _lead(v)) for name, v in rows]
    return f"{as_table(cells, (protocol, 'success rate', 'AUC', 'method leads by'))}\n{_remarks(figures, protocol)}"


def _remarks(figures: dict[str, Any], protocol: str) -> str:
    of_protocol, area = figures["protocols"][protocol], figures["mask_area"]["method"][protocol]
    remarks = [
        f"the method's masks take {100 * area['mean']:.0f} % of the frame; "
        f"{100 * area['empty']:.0f} % of them are empty, {100 * area['full']:.0f} % are full"
    ]
    if of_protocol["optimistic"]:
        remarks.append("optimistic: its threshold was chosen on these very clips")
    if of_protocol["sees_truth"]:
        remarks.append("it is told how large the truth is")
    return f"({'; '.join(remarks)})"


def _without_boxes(figures: dict[str, Any], protocol: str) -> str:
    moved = figures["wrong_sound"][protocol]["moved"]
    if moved is None:
        return f"{protocol}: needs boxes, and there are none"
    return f"{protocol}: no boxes to score against; a wrong sound moves {100 * moved:.0f} % of the mask"


def _lead(values: dict[str, Any]) -> str:
    if values.get("lead") is None:
        return ""
    return f"{100 * values['lead']:+.0f} points [{100 * values['lead_low']:+.0f}, {100 * values['lead_high']:+.0f}]"


def _parts_table() -> str:
    """The method by label, by size of the thing, and by hard or easy, under the first protocol."""
    first = next(iter(last_evaluation()["method"]))
    rows = [row for _, row in read_rows(METRICS / "parts.csv", PART_COLUMNS) if row["protocol"] == first]
    if not rows:
        return "no boxes to score against"
    numbers = [{key: float(row[key]) for key in PART_COLUMNS[3:]} for row in rows]
    cells = [
        (row["part"], row["value"], row["n"], row["k"], with_interval(v, "success_rate"), with_interval(v, "auc"))
        for row, v in zip(rows, numbers, strict=True)
    ]
    return as_table(cells, ("part", first, "clips", "of them found", "success rate", "AUC"))


@dataclass(frozen=True)
class Cell:
    """What the seeds of a cell reached."""

    success: dict[str, dict[str, NDArray[np.float64]]]  # protocol -> whose -> (seeds, clips) of 0 and 1
    moved: dict[str, float]  # by protocol: share of the mask that a wrong sound moves, mean of the seeds; NaN: unknown
    groups: NDArray[np.str_]
    hard: NDArray[np.bool_]

    def lead(
        self, one: NDArray[np.float64], other: NDArray[np.float64], part: NDArray[np.bool_] | slice = slice(None)
    ) -> str:
        """How many points one has over another, clip by clip, seeds averaged, with an interval over groups."""
        values = (one.mean(axis=0) - other.mean(axis=0))[part, None]
        (found,) = intervals(values, self.groups[part].tolist(), RESAMPLES, generator(0, "bootstrap"))
        return f"{100 * found.mean:+.0f} [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"


def _cell_table(name: str) -> str:
    table = read_table(name)
    cells = {cell: _read_cell(table, cell) for cell in table.cells}
    first = next(iter(cells.values()))
    seeds = ", ".join(map(str, table.seeds))
    if not len(first.hard):
        protocols = [protocol for protocol, moved in first.moved.items() if not np.isnan(moved)]
        rows = [[cell, *(f"{100 * found.moved[p]:.0f} %" for p in protocols)] for cell, found in cells.items()]
        note = f"no boxes to score against; seeds {seeds}; how much of its mask a wrong sound moves"
        return f"{note}\n\n{as_table(rows, ['cell', *protocols])}"
    note = (
        f"{len(first.hard)} clips, seeds {seeds}; points are success rate x 100, paired by clip, seeds averaged; "
        "95 % intervals over clips"
    )
    return f"{note}\n\n{_success_table(cells)}"


def _success_table(cells: dict[str, Cell]) -> str:
    first_name, first = next(iter(cells.items()))
    main, *others = first.success
    costs = ["a wrong sound costs", "on hard clips"]
    header = ["cell", main, "of hard ones", "the seeds", f"{first_name} leads by", *others, *costs, "its map alone"]
    best = first.success[main]["ciou"]
    rows = []
    for name, cell in cells.items():
        right, wrong = cell.success[main]["ciou"], cell.success[main]["ciou_wrong_sound"]
        rows.append(
            [
                name,
                f"{right.mean():.3f}",
                _rate(right, cell.hard),
                " ".join(f"{value:.2f}" for value in right.mean(axis=1)),
                "" if cell is first else cell.lead(best, right),
                *(f"{cell.success[protocol]['ciou'].mean():.3f}" for protocol in others),
                cell.lead(right, wrong),
                cell.lead(right, wrong, cell.hard) if cell.hard.any() else "",
                f"{cell.success[main]['ciou_bottom_up'].mean():.3f}",
            ]
        )
    for column, (owner, cell) in _owners(cells, main).items():
        if baseline := NAMES.get(column.removeprefix("ciou_")):
            rates = [cell.success[protocol][column] for protocol in (main, *others)]
            found = [f"{rates[0].mean():.3f}", _rate(rates[0], cell.hard), "", first.lead(best, rates[0])]
            whose = baseline if cell is first else f"{baseline} ({owner})"
            rows.append([whose, *found, *(f"{r.mean():.3f}" for r in rates[1:]), *3 * [""]])
    return as_table(rows, header)


def _owners(cells: dict[str, Cell], protocol: str) -> dict[str, tuple[str, Cell]]:
    """For each column that any cell has the first cell with it: those that vote have baselines which vote."""
    owners: dict[str, tuple[str, Cell]] = {}
    for name, cell in cells.items():
        for column in cell.success[protocol]:
            owners.setdefault(column, (name, cell))
    return owners


def _rate(success: NDArray[np.float64], part: NDArray[np.bool_]) -> str:
    """The share of successes (seeds, clips) in a part of the clips; nothing where it has none."""
    return f"{success[:, part].mean():.3f}" if part.any() else ""


def _read_cell(table: Table, cell: str) -> Cell:
    ciou: dict[str, dict[str, list[list[float]]]] = {}
    moved: dict[str, list[float]] = {}
    clips: dict[str, tuple[str, bool]] = {}
    for i, seed in enumerate(table.seeds):
        folder = CELLS / table.name / cell / f"seed-{seed}"
        if not (folder / "clips.csv").exists():
            raise UserError(f"{folder / 'clips.csv'}: not there yet; `make table NAME={table.name}` makes it")
        for protocol, values in json.loads((folder / "eval.json").read_text())["wrong_sound"].items():
            moved.setdefault(protocol, []).append(np.nan if values["moved"] is None else values["moved"])
        for _, row in read_rows(folder / "clips.csv", ("clip_id", "group", "protocol", "ciou", "hard")):
            if not row["ciou"]:  # no box
                continue
            clips[row["clip_id"]] = row["group"], row["hard"] == "1"
            for column, value in row.items():
                if column.startswith("ciou"):
                    of_seeds = ciou.setdefault(row["protocol"], {}).setdefault(column, [[] for _ in table.seeds])
                    of_seeds[i].append(float(value))
    return Cell(
        {
            protocol: {column: _success(of_seeds) for column, of_seeds in columns.items()}
            for protocol, columns in ciou.items()
        },
        {protocol: float(np.mean(values)) for protocol, values in moved.items()},
        np.array([group for group, _ in clips.values()]),
        np.array([hard for _, hard in clips.values()], bool),
    )


def _success(ciou: list[list[float]]) -> NDArray[np.float64]:
    return np.stack([per_clip(np.array(values))[:, 0] for values in ciou])
