"""The command line `usol`."""

import argparse
import logging
import sys
from collections.abc import Sequence

from pipeline.foundation.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; bad input ends it with a line on stderr and status 1."""
    parser = argparse.ArgumentParser(prog="usol", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("check", help="check params.yaml, the source's root and the data folder")
    command.add_argument("--table", metavar="NAME", help="check the cells of this table of tables/params.yaml too")
    command.set_defaults(run=_check)
    command = commands.add_parser("preset", help="write the parameters of presets/NAME.yaml into params.yaml")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--root", help="where the clips are: source.root and source.watch")
    command.set_defaults(run=_preset)
    command = commands.add_parser("tables", help="print the metrics; or parts, protocols, a table of cells")
    command.add_argument("name", nargs="?", metavar="NAME")
    command.set_defaults(run=_tables)
    command = commands.add_parser("cell", help="attend, train and evaluate a cell of a table (a DVC stage calls this)")
    command.add_argument("table", metavar="TABLE")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(run=_cell)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        chosen.run(chosen)
    except UserError as error:
        sys.exit(str(error))


# Each command is imported when it is asked for: `usol check` need not wait for torch.


def _check(chosen: argparse.Namespace) -> None:
    from pipeline.commands import check

    check.run(chosen.table)


def _preset(chosen: argparse.Namespace) -> None:
    from pipeline.commands import preset

    preset.run(chosen.name, chosen.root)


def _tables(chosen: argparse.Namespace) -> None:
    if chosen.name == "protocols":
        from pipeline.commands import protocols

        protocols.run()
    else:
        from pipeline.commands import tables

        tables.run(chosen.name)


def _cell(chosen: argparse.Namespace) -> None:
    from pipeline.commands import cell

    cell.run(chosen.table, chosen.name)


if __name__ == "__main__":
    main()
