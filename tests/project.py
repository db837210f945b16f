"""A whole small project to run stages in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.samples import ROOT

TINY: dict[str, dict[str, Any]] = {
    "worlds": {"default": {"train": 12, "val": 4, "test": 6, "boxed": 2, "seed": 0}},
    "extract": {"shard_clips": 4, "seconds": 1, "frame_size": 64},
    "attend": {"k": 20},
    "train": {"epochs": 2, "batch": 6},
    "evaluate": {"bootstrap": 20, "overlays": 1},
    "runtime": {"workers": 1},
}


class Project:
    """The project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def fresh(cls, folder: Path) -> "Project":
        """A new one, as after `git clone`, with small parameters."""
        folder.mkdir()
        for name in ("pipeline", "model", "tables", "presets"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "dvc.lock"))
        for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore", ".dvc/config"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        project = cls(folder)
        project.set(TINY)
        project.git("init", "-q")
        project.git("add", ".")
        project.git("commit", "-qm", "begin")
        return project

    def copy(self, folder: Path) -> "Project":
        """The same, with all that was made in it, in another folder."""
        shutil.copytree(self.folder, folder)
        return Project(folder)

    def set(self, values: dict[str, Any]) -> None:
        """Change keys of params.yaml."""
        yaml = YAML()
        params = yaml.load(self.folder / "params.yaml")
        for group, keys in values.items():
            if keys:
                params[group].update(keys)
            else:
                params[group] = {}
        yaml.dump(params, self.folder / "params.yaml")

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def run(self, *command: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of this Python's environment in the project."""
        binaries = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", **kwargs.pop("env", {})}
        program = [str(binaries / command[0]), *command[1:]]
        options = {"cwd": self.folder, "capture_output": True, "text": True, "env": environment, **kwargs}
        return subprocess.run(program, check=False, **options)

    def stage(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a stage by itself; it must succeed."""
        done = self.run("python", "-m", f"pipeline.{name}", *arguments)
        assert done.returncode == 0, done.stderr
        return done

    def bytes_of(self, folder: str) -> dict[str, bytes]:
        """All files below a folder."""
        root = self.folder / folder
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
