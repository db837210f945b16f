"""What it takes to train each system of a table, on the clips that the project has prepared: CPU and wall seconds.

    python -m benchmarks.systems                    # --table systems_pairs, --seed, --cells usol lvs

Run it in the project's folder after `dvc repro` (for systems_pairs, under the preset of those). Each training is a
process of its own that finds nothing trained and no features kept, from its start to its checkpoint; one that begins
with another system's networks trains that one, too. Cells that are trained alike are measured once. Prints a table and
writes benchmarks/results/systems.json, or that of another table's name.
"""

import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.project import ROOT
from benchmarks.results import Row, parser, told
from benchmarks.usage import run
from pipeline.commands.cell import Table, read_table
from pipeline.foundation.params import Params

READ = ("source", "frames", "sounds", "bottom_up")  # what training reads of data/


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--table", default="systems", help="of tables/params.yaml")
    arguments.add_argument("--cells", nargs="+", help="those alone")
    arguments.add_argument("--seed", type=int, default=0, help="of the training")
    chosen = arguments.parse_args()
    rows = []
    for cell, params in trainings(read_table(chosen.table), chosen.seed).items():
        if chosen.cells is None or cell in chosen.cells:
            rows.append({"cell": cell, **measured(Path.cwd(), params)})
    print(told(chosen.table, rows, chosen.results))


def trainings(table: Table, seed: int) -> dict[str, Params]:
    """The parameters of each cell that trains something which no cell before it does; maps are the project's own."""
    found: dict[str, Params] = {}
    for cell in table.cells:
        params = table.params(cell, seed)
        if params.train not in [others.train for others in found.values()]:
            found[cell] = params
    return found


def measured(project: Path, params: Params) -> Row:
    """Train once in a folder of its own that shares the project's data; nothing is written beside it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        for name in READ:
            (data / name).symlink_to((project / "data" / name).resolve(strict=True))
        YAML().dump(params.model_dump(), Path(folder, "params.yaml"))
        usage = run([sys.executable, "-m", "pipeline.train"], Path(folder), {"PYTHONPATH": str(ROOT)})
    return {
        "system": params.train.system,
        "epochs": params.train.epochs,
        "CPU s": usage.cpu_s,
        "wall s": usage.wall_s,
        "peak MB": usage.peak_mb,
    }


if __name__ == "__main__":
    main()
