"""`usol cell TABLE NAME`: attend, train and evaluate with the overrides of one cell of a table, once a seed.

A table is a mapping of tables/params.yaml, its cells mappings of groups to keys that differ from the root's
params.yaml. The stages' own functions do the work; what is finished is reused by its fingerprint, as in the stages.
"""

import logging
from pathlib import Path

from pipeline import attend, evaluate, train
from pipeline.foundation.batches import Folders
from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import PARAMS_FILE, load, read_yaml
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

TABLES, CELLS = Path("tables/params.yaml"), Path("data/cells")
OVERRIDDEN = ("attend", "train", "evaluate")


def run(table: str, name: str) -> None:
    """Write data/cells/TABLE/NAME/seed-N/ with the metrics of every seed."""
    with stage("cell"):
        cells = read_yaml(TABLES)
        overrides = cells[table][name] or {}
        if unknown := set(overrides) - set(OVERRIDDEN):
            raise UserError(f"{TABLES}: {table}.{name}.{min(unknown)}: a cell may override {', '.join(OVERRIDDEN)}")
        for seed in cells["seeds"]:
            with_seed = {**overrides, "train": {**overrides.get("train", {}), "seed": seed}}
            params = load(PARAMS_FILE, with_seed)
            maps = SCRATCH / "cells" / table / name / "bottom_up"
            attend.attend(params.attend, attend.REGIONS / params.attend.proposer, maps, params.runtime)
            model = train.train(params.train, train.FRAMES, train.SOUNDS, maps, params.runtime)
            folders = Folders(evaluate.FRAMES, evaluate.SOUNDS, maps)
            seen = evaluate.look(params.evaluate, model, folders, params.runtime)
            scores = evaluate.score(params.evaluate, seen)
            evaluate.write_figures(params.evaluate, seen, scores, CELLS / table / name / f"seed-{seed}")
        log.info("cell: %s, %d seeds -> %s", name, len(cells["seeds"]), CELLS / table / name)
