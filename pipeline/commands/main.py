"""The command line `usol`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from pipeline.foundation.errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse's, but that a command line that it cannot read is bad input as any other: status 1, not 2."""

    def error(self, message: str) -> NoReturn:
        """End with one line on what cannot be read."""
        self.exit(1, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; bad input ends it with a line on stderr and status 1."""
    parser = Parser(prog="usol", description=__doc__)
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
    command = commands.add_parser(
        "compare",
        help="whether one revision's metrics are better than another's, clip by clip",
        description="Compare the scores per clip of two revisions, paired: B - A, with intervals. "
        "Exit status: 0 B is better, 2 B is worse, 3 undecided, 1 an error; by whether the 95 % interval of the "
        "success rate's difference, under the first protocol, lies above 0, below it, or holds it.",
    )
    command.add_argument("rev_a", metavar="REV_A", help="A: a revision of Git, or . for the files as they are")
    command.add_argument("rev_b", metavar="REV_B", nargs="?", default=".", help="B, likewise; left out, it is .")
    command.add_argument(
        "--cell",
        metavar="TABLE/CELL",
        help="compare this cell of a table, with all its seeds; REV:TABLE/CELL names one for one side alone",
    )
    command.add_argument("--json", action="store_true", help="print it for machines")
    command.set_defaults(run=_compare)
    command = commands.add_parser("cell", help="attend, train and evaluate a cell of a table (a DVC stage calls this)")
    command.add_argument("table", metavar="TABLE")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(run=_cell)
    command = commands.add_parser("list", help="write the list of source.root's files that source.watch names")
    command.set_defaults(run=_list)
    command = commands.add_parser("weights", help="get the published weights of a network, by their checksum")
    command.add_argument("name", metavar="NAME", help="vgg16, mobilenet_v2, resnet18, squeezenet, yamnet, soundnet")
    command.set_defaults(run=_weights)
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


def _list(chosen: argparse.Namespace) -> None:
    from pipeline.commands import listing

    listing.run()


def _preset(chosen: argparse.Namespace) -> None:
    from pipeline.commands import preset

    preset.run(chosen.name, chosen.root)


def _weights(chosen: argparse.Namespace) -> None:
    from pipeline.commands import weights

    weights.run(chosen.name)


def _tables(chosen: argparse.Namespace) -> None:
    if chosen.name == "protocols":
        from pipeline.commands import protocols

        protocols.run()
    else:
        from pipeline.commands import tables

        tables.run(chosen.name)


def _compare(chosen: argparse.Namespace) -> None:
    from pipeline.commands import compare

    sys.exit(compare.run(chosen.rev_a, chosen.rev_b, chosen.cell, chosen.json))


def _cell(chosen: argparse.Namespace) -> None:
    from pipeline.commands import cell

    cell.run(chosen.table, chosen.name)


if __name__ == "__main__":
    main()
