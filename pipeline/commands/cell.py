"""`usol cell TABLE NAME`: attend, train and evaluate with the overrides of one cell of a table, once a seed.

A table is a mapping of tables/params.yaml, its cells mappings of groups to keys that differ from the root's
params.yaml. The stages' own functions do the work; what is finished is reused by its fingerprint, as in the stages.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import attend, evaluate, train
from pipeline.foundation.batches import Folders
from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Params
from pipeline.foundation.params_file import PARAMS_FILE, load, read_yaml
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

TABLES, CELLS = Path("tables/params.yaml"), Path("data/cells")
OVERRIDDEN = ("attend", "train", "evaluate")


@dataclass(frozen=True)
class Table:
    """The cells of a table, and the seeds that each is run with."""

    name: str
    seeds: list[int]
    cells: dict[str, Mapping[str, Mapping[str, object]]]

    def params(self, cell: str, seed: int) -> Params:
        """The root's parameters as a cell and a seed change them."""
        overrides = self.cells[cell]
        with_seed = {**overrides, "train": {**overrides.get("train", {}), "seed": seed}}
        return load(PARAMS_FILE, with_seed, f"{TABLES}: {self.name}.{cell}")


def read_table(name: str) -> Table:
    """A table of tables/params.yaml; raises UserError that names every mistake in it."""
    content = read_yaml(TABLES)
    tables = [key for key in content if key != "seeds"] if isinstance(content, dict) else []
    if name not in tables:
        raise UserError(f"{TABLES}: no table {name!r}; accepted: {', '.join(map(str, tables)) or 'none is there'}")
    seeds, cells = content.get("seeds"), content[name]
    if not (isinstance(seeds, list) and seeds and all(type(seed) is int and seed >= 0 for seed in seeds)):
        raise UserError(f"{TABLES}: seeds: got {seeds!r}; accepted: a list of whole numbers, >= 0")
    if not (isinstance(cells, dict) and cells):
        raise UserError(f"{TABLES}: {name}: got {cells!r}; accepted: a mapping of cells")
    load()  # mistakes of the root's are told as such
    table = Table(name, seeds, {str(cell): overrides for cell, overrides in cells.items()})
    if mistakes := [line for cell in table.cells for line in _mistakes(table, cell)]:
        raise UserError("\n".join(mistakes))
    return table


def _mistakes(table: Table, cell: str) -> list[str]:
    overrides: Any = table.cells[cell]
    place = f"{TABLES}: {table.name}.{cell}"
    if not isinstance(overrides, dict) or not all(isinstance(keys, dict) for keys in overrides.values()):
        return [
            f"{place}: got {overrides!r}; accepted: a mapping of {', '.join(OVERRIDDEN)} to keys of theirs, or {{}}"
        ]
    if unknown := set(overrides) - set(OVERRIDDEN):
        return [f"{place}.{min(map(str, unknown))}: a cell may override {', '.join(OVERRIDDEN)}"]
    try:
        table.params(cell, table.seeds[0])
    except UserError as error:
        return str(error).splitlines()
    return []


def run(table_name: str, cell: str) -> None:
    """Write data/cells/TABLE/CELL/seed-N/ with the metrics of every seed."""
    with stage("cell"):
        table = read_table(table_name)
        if cell not in table.cells:
            raise UserError(f"{TABLES}: {table_name}: no cell {cell!r}; accepted: {', '.join(table.cells)}")
        for seed in table.seeds:
            params = table.params(cell, seed)
            maps = SCRATCH / "cells" / table_name / cell / "bottom_up"
            regions = attend.REGIONS / params.attend.proposer
            attend.attend(params.attend, regions, maps, params.runtime)
            model = train.train(params.train, train.FRAMES, train.SOUNDS, maps, params.runtime)
            folders = Folders(evaluate.FRAMES, evaluate.SOUNDS, maps, regions=regions)
            seen = evaluate.look(params.evaluate, model, folders, params.runtime)
            scores = evaluate.score(params.evaluate, seen)
            evaluate.write_figures(params.evaluate, seen, scores, CELLS / table_name / cell / f"seed-{seed}")
        log.info("cell: %s, %d seeds -> %s", cell, len(table.seeds), CELLS / table_name / cell)
