"""A project in a folder of its own, whose stages run as processes, as `dvc repro` runs them."""

import shutil
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.usage import Usage, run

ROOT = Path(__file__).parents[1]

# The paper's frame, sound and K (Sec. 4.2); one worker, for CPU time; shards as a large data set has them.
PAPER: dict[str, dict[str, Any]] = {
    "worlds": {},
    "extract": {"frame_size": 320, "seconds": 20, "shard_clips": 256},
    "proposers": {"selective_search": {"engine": "native", "mode": "fast"}},
    "attend": {"k": 50, "order": "opencv"},
    "listen": {"features": "logmel"},
    "runtime": {"engine": "joblib", "workers": 1, "scheduler": None},
}


class Project:
    """The parameters of this repository with some of them changed; its code stays where it is."""

    def __init__(self, folder: Path, changes: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
        self.set({**PAPER, **changes})

    def set(self, changes: dict[str, dict[str, Any]]) -> None:
        """Change parameters; an empty group empties it."""
        yaml = YAML()
        params = yaml.load(self.folder / "params.yaml")
        for group, values in changes.items():
            params[group] = {**params[group], **values} if values else {}
        yaml.dump(params, self.folder / "params.yaml")

    def stage(self, name: str, *arguments: str) -> Usage:
        """Run a stage to its end; where it fails, so does this process, with what it said."""
        return run([sys.executable, "-m", f"pipeline.{name}", *arguments], self.folder, {"PYTHONPATH": str(ROOT)})

    def forget(self, *made: str) -> None:
        """Remove what stages made, and all unfinished and finished work of theirs that nobody names."""
        for name in (".scratch", *made):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def bytes_in(folder: Path) -> int:
    """The sizes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
