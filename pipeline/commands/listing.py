"""`usol list`: writes the list of source.root's files to source.watch, for DVC to watch in place of the root."""

from pathlib import Path

from pipeline.foundation.errors import UserError
from pipeline.foundation.listing import write_list
from pipeline.foundation.params_file import PARAMS_FILE, load


def run() -> None:
    """Write the list that params.yaml names."""
    source = load().source
    root, watch = Path(source.root), Path(source.watch)
    if not root.is_dir():
        raise UserError(f"{PARAMS_FILE}: source.root: {root} is no folder; set it to the folder of your clips")
    if watch.is_dir():
        raise UserError(
            f"{PARAMS_FILE}: source.watch: {watch} is a folder, which DVC watches whole; to watch a list in its place, "
            "name a file that does not exist yet, such as clips-list.csv"
        )
    print(f"{watch}: {write_list(root, watch)} files of {root}")
