"""The house: dvc.yaml's code is what the stages import, and imports run one way."""

import ast
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.samples import ROOT

PARAMS = {f"pipeline/foundation/{name}.py" for name in ("params", "agreement", "params_file")}
TABLES = [name for name in YAML(typ="safe", pure=True).load(ROOT / "tables" / "params.yaml") if name != "seeds"]
STAGES = ("world", "source", "extract", "propose", "detector", "detect", "attend", "listen", "train", "evaluate")


def imports_of(path: Path) -> set[str]:
    """The project's own modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = {Path(*name.split(".")).with_suffix(".py") for name in names if name.startswith(("pipeline.", "model."))}
    return {file.as_posix() for file in files if (ROOT / file).exists()}


def all_imports_of(file: str) -> set[str]:
    """A module and all that it imports, directly or not."""
    found, todo = {file}, [file]
    while todo:
        new = imports_of(ROOT / todo.pop()) - found
        found |= new
        todo += new
    return found


def code_of(file: str) -> list[str]:
    """What dvc.yaml must list for a module; the systems, which a registry names, as the folder that they are in."""
    found = all_imports_of(file) - PARAMS
    if "model/system.py" in found:
        for system in sorted((ROOT / "model" / "systems").glob("*.py")):
            found |= all_imports_of(system.relative_to(ROOT).as_posix())
        found = {module for module in found if not module.startswith("model/systems/")} | {"model/systems"}
    return sorted(found)


def graph(file: str) -> dict[str, dict]:
    stages = YAML(typ="safe", pure=True).load(ROOT / file)["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def listed(stage: dict) -> list[str]:
    return [dep for dep in stage["deps"] if dep.startswith(("model/", "pipeline/"))]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_exactly_the_code_that_it_imports(name):
    stage = graph("dvc.yaml")[name]
    assert listed(stage) == code_of(f"pipeline/{name}.py")
    assert f"-m pipeline.{name}" in stage["cmd"]


@pytest.mark.parametrize("name", TABLES)
def test_a_cell_lists_exactly_the_code_that_it_imports(name):
    assert listed(graph("tables/dvc.yaml")[name]) == code_of("pipeline/commands/cell.py")


# name: (params, data that it reads, what it makes), as shared by all who read the graph
GRAPH = {
    "world": (["worlds.${key}"], [], ["data/worlds/${key}"]),
    "source": (["source"], ["${source.watch}"], ["data/source", "data/order.csv"]),
    "extract": (
        ["extract", "source.accept_leaks", "source.root", "source.watch"],
        ["${source.watch}", "data/order.csv", "data/source"],
        ["data/frames", "data/waveforms", "data/rejected"],
    ),
    "propose": (["proposers.${key}"], ["data/frames"], ["data/regions/${key}"]),
    "detector": (
        ["detectors.${key}"],
        ["${item.root}"],
        ["data/metrics/detector_${key}.json", "data/detectors/${key}"],
    ),
    "detect": (None, ["data/detectors/${key}", "data/frames"], ["data/regions/${key}"]),
    "attend": (["attend"], ["data/regions/${attend.proposer}"], ["data/bottom_up"]),
    "listen": (["listen"], ["data/source", "data/waveforms"], ["data/sounds"]),
    "train": (
        ["train"],
        ["data/bottom_up", "data/frames", "data/sounds", "data/source/train", "data/source/val"],
        ["data/model", "data/metrics/train.csv"],
    ),
    "evaluate": (
        ["evaluate"],
        [
            *("data/bottom_up", "data/frames", "data/model", "data/regions/${attend.proposer}"),
            *("data/rejected/leaks.csv", "data/sounds"),
            *("data/source/${evaluate.split}", "data/source/leaks.csv", "data/source/train", "data/source/val"),
        ],
        [
            *("data/metrics/eval.json", "data/heat", "data/overlays"),
            *(
                "data/metrics/clips.csv",
                "data/metrics/missing.csv",
                "data/metrics/parts.csv",
                "data/metrics/success.csv",
            ),
        ],
    ),
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_what_it_reads_and_owns_what_it_makes(name):
    stage = graph("dvc.yaml")[name]
    made = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("metrics", []) + stage["outs"]]
    data = [dep for dep in stage["deps"] if dep not in listed(stage)]
    assert (stage.get("params"), data, made) == GRAPH[name]


def test_every_stage_of_the_graph_is_a_file_and_every_table_a_stage():
    assert set(graph("dvc.yaml")) == set(STAGES)
    assert set(graph("tables/dvc.yaml")) == set(TABLES)


def test_runtime_is_no_dependency():
    for stage in graph("dvc.yaml").values():
        assert not any("runtime" in str(param) for param in stage.get("params", []))


def room(file: str) -> int:
    """How high up a module stands: it may import what stands lower, and its own kind only where that is a package."""
    if file.startswith("model/"):
        return 0
    rooms = {"foundation": 1, "sources": 2, "proposers": 2, "worlds": 2, "commands": 4}
    return rooms.get(Path(file).parts[1], 3)


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline").rglob("*.py")) + sorted((ROOT / "model").rglob("*.py")))
def test_nothing_imports_upwards(path):
    file = path.relative_to(ROOT).as_posix()
    for imported in imports_of(path):
        assert room(imported) <= room(file), f"{file} imports {imported}"
        if room(file) == room(imported) == 3:
            pytest.fail(f"stage {file} imports stage {imported}")
        if room(file) == room(imported) == 2:
            assert Path(file).parts[1] == Path(imported).parts[1]


def test_no_module_imports_itself_in_a_circle():
    for path in (ROOT / "pipeline").rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        for imported in imports_of(path):
            assert file not in all_imports_of(imported), f"{file} and {imported} import each other"


@pytest.mark.parametrize("path", sorted((ROOT / "model").rglob("*.py")))
def test_the_model_is_mathematics_alone(path):
    forbidden = {"os", "pathlib", "io", "json", "csv", "h5py", "logging", "sys", "time", "random"}
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & forbidden
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in forbidden
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "open")


def test_no_host_name_and_no_machine_s_path_is_in_the_lock():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert "torch==2.13.0" in lines
    assert all("==" in line and "/" not in line and "+" not in line for line in lines)


def test_the_lock_holds_every_dependency_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().split()}
    for requirement in wanted:
        assert requirement.split(">")[0].split("=")[0].split("[")[0].lower() in names
