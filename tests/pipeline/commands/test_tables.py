import json

import pytest
from ruamel.yaml import YAML


def test_the_main_table_prints_what_eval_json_holds(trained):
    done = trained.run("usol", "tables")
    assert done.returncode == 0, done.stderr
    figures = json.loads((trained.folder / "data/metrics/eval.json").read_text())
    assert done.stdout.startswith("usol, seed 0, on 6 clips of test (6 with boxes, 0 rejected)")
    for protocol in ("adaptive", "lvs_top50", "half_max"):
        assert f"\n{protocol} " in done.stdout
        assert f"{figures['method'][protocol]['success_rate']:.3f} [" in done.stdout
    for name in (
        "centred disc",
        "full frame",
        "bottom-up map alone",
        "mean of the train boxes",
        "oracle",
        "train bottom-up maps",
    ):
        assert done.stdout.count(name) == 3
    assert "lit above a threshold" in done.stdout
    assert "it is told how large the truth is" in done.stdout


def test_before_any_run_the_table_says_what_to_do(project):
    done = project.run("usol", "tables")
    assert done.returncode == 1
    assert done.stderr == "data/metrics/eval.json: not there yet; `make repro` or `dvc repro` makes it\n"
    done = project.run("usol", "tables", "controls")
    assert (
        done.stderr
        == "data/cells/controls/method/seed-0/clips.csv: not there yet; `make table NAME=controls` makes it\n"
    )
    done = project.run("usol", "tables", "best")
    tables = ", ".join(name for name in YAML(typ="safe").load(project.folder / "tables/params.yaml") if name != "seeds")
    assert done.stderr == f"tables/params.yaml: no table 'best'; accepted: {tables}\n"


@pytest.mark.slow
def test_cells_are_trained_once_a_seed_and_printed_beside_the_first(trained):
    cells = {"seeds": [0, 1], "controls": {"method": {}, "alpha_0": {"train": {"alpha": 0}}}}
    YAML().dump(cells, trained.folder / "tables" / "params.yaml")
    for name in cells["controls"]:
        done = trained.run("usol", "cell", "controls", name)
        assert done.returncode == 0, done.stderr
    scratch = trained.folder / ".scratch" / "train"
    runs = [path for path in scratch.iterdir() if path.is_dir()]
    assert len(runs) == 4  # the default's run is the first cell's seed 0
    figures = json.loads((trained.folder / "data/metrics/eval.json").read_text())
    of_cell = json.loads((trained.folder / "data/cells/controls/method/seed-0/eval.json").read_text())
    assert of_cell == figures
    done = trained.run("usol", "tables", "controls")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("6 clips, seeds 0, 1; ")
    assert [line.split()[0] for line in lines[4:6]] == ["method", "alpha_0"]
    (disc,) = [line for line in lines if line.startswith("centred disc")]
    assert "[" in disc  # how far the method leads
    boxes = trained.folder / "data/source/test/boxes.csv"
    boxes.write_text(boxes.read_text().splitlines(keepends=True)[0])
    for name in cells["controls"]:
        assert trained.run("usol", "cell", "controls", name).returncode == 0
    done = trained.run("usol", "tables", "controls")
    assert done.stdout.startswith("no boxes to score against; seeds 0, 1; how much of its mask a wrong sound moves")
    assert "alpha_0" in done.stdout


def test_a_cell_may_not_override_what_is_made_once(trained):
    YAML().dump({"seeds": [0], "controls": {"x": {"extract": {"seconds": 2}}}}, trained.folder / "tables/params.yaml")
    done = trained.run("usol", "cell", "controls", "x")
    assert done.returncode == 1
    assert done.stderr == ("tables/params.yaml: controls.x.extract: a cell may override attend, train, evaluate\n")
