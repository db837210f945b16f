import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.commands.main import main
from tests.project import Project

Scores = dict[str, float]
CLIPS = [f"clip-{i:02d}" for i in range(20)]
LOW, HIGH = dict.fromkeys(CLIPS, 0.25), dict.fromkeys(CLIPS, 0.75)


def write(
    project: Project,
    scores: Scores,
    folder: str = "data/metrics",
    protocols: tuple[str, ...] = ("adaptive", "half_max"),
    seed: int = 0,
    split: str = "test",
    groups: Callable[[str], str] = str,
    area: float = 0.5,
) -> None:
    """Metrics as the stage evaluate writes them, as far as compare reads them."""
    (project.folder / folder).mkdir(parents=True, exist_ok=True)
    figures = {"system": "usol", "split": split, "seed": seed, "device": "cpu", "precision": "float32"}
    (project.folder / folder / "eval.json").write_text(json.dumps(figures))
    with (project.folder / folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip_id", "group", "protocol", "ciou", "label", "area"])
        for clip_id, ciou in scores.items():
            for protocol in protocols:
                rows.writerow([clip_id, groups(clip_id), protocol, ciou, "dog", area])


def commit(project: Project, scores: Scores | None = None, **how: object) -> str:
    if scores is not None:
        write(project, scores, **how)
    project.git("add", "-A")
    project.git("commit", "-qm", "x", "--allow-empty")
    return project.git("rev-parse", "HEAD").strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A Git repository with parameters and nothing else."""
    project = Project(tmp_path)
    project.git("init", "-q")
    (tmp_path / "params.yaml").write_text("train: {alpha: 0.5, seed: 0}\nworlds: {}\n")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/params.yaml").write_text("seeds: [0, 1]\nt: {old: {}, new: {train: {alpha: 1}}}\n")
    monkeypatch.chdir(tmp_path)
    return project


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The exit status, and what was printed."""

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(["compare", *arguments])
        return end.value.code, capsys.readouterr().out

    return run


def figures_of(compare: Callable[..., tuple[int, str]], *arguments: str) -> dict:
    return json.loads(compare("--json", *arguments)[1])


def told(*arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments])
    line = end.value.code
    assert isinstance(line, str)  # printed on stderr, status 1
    assert len(line.splitlines()) == 1
    return line


def test_the_status_says_better_worse_or_undecided(repository, compare):
    low, high = commit(repository, LOW), commit(repository, HIGH)
    status, text = compare(low, high)
    assert status == 0
    assert "better, by the success rate under adaptive: the interval of B - A, [+100.0, +100.0], lies above 0" in text
    assert "these two checkpoints, not these two settings" in text
    assert compare(high, low)[0] == 2
    status, text = compare(high, high)
    assert status == 3
    assert "undecided" in text
    assert "parameters: none differs" in text


def test_the_figures_by_hand(repository, compare):
    a = HIGH | {"clip-00": 0.3, "clip-01": 0.1}  # 18 of 20
    b = HIGH | {"clip-01": 0.5, "clip-02": 0.25, "clip-03": 0.4, "clip-04": 0.45}  # 17 of 20
    figures = figures_of(compare, commit(repository, a), commit(repository, b))
    of = figures["protocols"]["adaptive"]
    rate = of["success_rate"]
    assert (rate["a"], rate["b"], rate["difference"]) == (0.9, 0.85, -0.05)
    assert rate["low"] < -0.05 < 0 < rate["high"]
    assert of["mean_ciou"]["difference"] == pytest.approx((0.45 + 0.4 - 0.5 - 0.35 - 0.3) / 20, abs=1e-6)
    assert of["mcnemar"] == [{"seed_a": 0, "seed_b": 0, "only_a": 3, "only_b": 2, "p": 1}]
    assert [(clip["clip_id"], clip["a"], clip["b"]) for clip in figures["moved"]] == [
        ("clip-00", 0.3, 0.75),
        ("clip-01", 0.1, 0.5),
        ("clip-02", 0.75, 0.25),
        ("clip-03", 0.75, 0.4),
        ("clip-04", 0.75, 0.45),
    ]
    assert figures["verdict"] == "undecided"


def test_without_a_second_revision_the_files_as_they_are_are_meant(repository, compare):
    commit(repository, LOW)
    write(repository, HIGH)
    status, text = compare("HEAD")
    assert status == 0
    assert "\nB  the files as they are, data/metrics: usol on test" in text
    assert compare(".", "HEAD")[0] == 2


def test_clips_are_paired_by_their_ids_and_the_rest_is_counted(repository, compare):
    a = {clip_id: i / 20 for i, clip_id in enumerate(CLIPS)}
    b = {clip_id: a[clip_id] for clip_id in reversed(CLIPS[:15])} | {"new": 1.0}
    status, text = compare(commit(repository, a), commit(repository, b))
    assert status == 3
    assert "[+0.0, +0.0]" in text
    assert "adaptive: left out 5 only in A, 1 only in B" in text


def test_a_clip_of_another_truth_is_left_out(repository, compare):
    first = commit(repository, LOW)
    write(repository, HIGH)
    path = repository.folder / "data/metrics/clips.csv"
    path.write_text(
        path.read_text().replace("clip-07,clip-07,adaptive,0.75,dog,0.5", "clip-07,clip-07,adaptive,0.75,dog,0.4")
    )
    figures = figures_of(compare, first)
    assert [of["n_unlike"] for of in figures["protocols"].values()] == [1, 0]
    assert figures["protocols"]["adaptive"]["n_paired"] == 19


def test_clips_of_one_group_are_one_piece_of_evidence(repository, compare):
    half = dict.fromkeys(CLIPS[:10], 0.25) | dict.fromkeys(CLIPS[10:], 0.75)
    first = commit(repository, LOW, groups=lambda _: "one film")
    second = commit(repository, half, groups=lambda _: "one film")
    assert compare(first, second)[0] == 3
    third = commit(repository, half)
    assert compare(first, third)[0] == 0


def test_cells_are_compared_with_all_their_seeds(repository, compare):
    for seed in (0, 1):
        write(repository, LOW | {"clip-00": 0.5 * seed}, f"data/cells/t/old/seed-{seed}", seed=seed)
        write(repository, HIGH, f"data/cells/t/new/seed-{seed}", seed=seed)
    commit(repository)
    status, text = compare("HEAD:t/old", ".:t/new")
    assert status == 0
    assert "seeds 0, 1" in text
    assert "Several seeds each: this is about these two settings." in text
    assert "train.alpha: 0.5 -> 1" in text
    figures = figures_of(compare, "HEAD:t/old", ".:t/new")
    assert figures["protocols"]["adaptive"]["success_rate"]["a"] == pytest.approx(1 / 40)
    assert [test["seed_a"] for test in figures["protocols"]["adaptive"]["mcnemar"]] == [0, 1]
    assert compare("HEAD", "--cell", "t/old")[0] == 3
    write(repository, LOW)
    status, text = compare(".", ".:t/new")
    assert status == 0
    assert "A has one seed: this is about that checkpoint, not its setting." in text


def test_a_lucky_seed_is_doubt_where_the_other_is_not(repository, compare):
    for seed, scores in enumerate((LOW, HIGH)):
        write(repository, LOW, f"data/cells/t/old/seed-{seed}", seed=seed)
        write(repository, scores, f"data/cells/t/new/seed-{seed}", seed=seed)
    assert compare(".:t/old", ".:t/new")[0] == 3


def test_parameters_that_differ_are_named_with_both_values(repository, compare):
    first = commit(repository, LOW)
    (repository.folder / "params.yaml").write_text("train: {alpha: 1, init: null}\nworlds: {}\n")
    _, text = compare(first)
    assert "  train.alpha: 0.5 -> 1\n" in text
    assert "  train.seed: 0 -> (no such key)\n" in text
    assert "  train.init: (no such key) -> null\n" in text
    assert "no score does: scores follow the parameters when `dvc repro` has run" in text
    assert figures_of(compare, first)["params"]["train.init"] == {"b": None}


def test_protocols_that_both_have_are_compared(repository, compare):
    first = commit(repository, LOW, protocols=("half_max", "adaptive"))
    second = commit(repository, HIGH, protocols=("lvs_top50", "adaptive"))
    assert list(figures_of(compare, first, second)["protocols"]) == ["adaptive"]


def test_what_cannot_be_compared_is_told_in_one_line(repository):
    empty = commit(repository)
    good = commit(repository, LOW)
    on_val = commit(repository, LOW, split="val")
    other_protocol = commit(repository, LOW, protocols=("lvs_top50",))
    other_clips = commit(repository, {"x": 0.5})
    other_truth = commit(repository, LOW, area=0.1)
    no_boxes = commit(repository, dict.fromkeys(CLIPS, ""))
    assert told("nowhere").startswith("nowhere: no revision of this repository; accepted: a commit")
    assert told(empty, good) == f"{empty}: has no data/metrics/eval.json; name a revision in which it was committed"
    assert told(good, on_val).endswith("evaluated on test and val; name two of one split")
    assert "no protocol in common (adaptive, half_max and lvs_top50)" in told(good, other_protocol)
    assert "no clip in common under adaptive (20 only in the first, 1 only in the second, 0" in told(good, other_clips)
    assert "0 only in the second, 20 of another truth); name two of one data set" in told(good, other_truth)
    assert "no clip in common under adaptive (20 only in the first, 0 only" in told(good, no_boxes)
    assert told(f"{good}:t/old", good) == (
        f"{good}: has no data/cells/t/old/seed-0; name a revision in which it was committed"
    )
    assert told(good, "--cell", "t").startswith("--cell: got 't'; accepted: TABLE/CELL")


@pytest.mark.parametrize(
    ("file", "content", "line"),
    [
        ("data/metrics/eval.json", "{", "data/metrics/eval.json: not what the stage evaluate writes ("),
        ("data/metrics/eval.json", "[]", "data/metrics/eval.json: not what the stage evaluate writes ("),
        (
            "data/metrics/eval.json",
            '{"system": "usol"}',
            "data/metrics/eval.json: not what the stage evaluate writes (",
        ),
        ("data/metrics/clips.csv", "clip_id,group\n", "data/metrics/clips.csv: no column protocol, ciou, label"),
        ("data/metrics/clips.csv", "\xff", "data/metrics/clips.csv: no UTF-8 text"),
        ("data/metrics/clips.csv", "clip_id,group,protocol,ciou,label\na,a,p,x,d\n", "data/metrics/clips.csv:2: ciou"),
        (
            "data/metrics/clips.csv",
            "clip_id,group,protocol,ciou,label\na,a,p,nan,d\n",
            "data/metrics/clips.csv:2: ciou is",
        ),
        (
            "data/metrics/clips.csv",
            "clip_id,group,protocol,ciou,label\na,a,p,1,d\na,a,p,1,d\n",
            "data/metrics/clips.csv:3: a occurs twice",
        ),
        ("params.yaml", "train: [", "params.yaml:1: not valid YAML"),
        ("params.yaml", "3", "params.yaml: holds no mapping"),
        ("params.yaml", "train: 3", "params.yaml: not all of it are groups"),
    ],
)
def test_a_broken_file_is_told_by_name(repository, file, content, line):
    write(repository, LOW)
    (repository.folder / file).write_bytes(content.encode("latin-1"))
    assert told(".", ".").startswith(line)
    commit(repository)
    assert told("HEAD", "HEAD").startswith(f"HEAD:{line}")


@pytest.mark.parametrize("content", ["t: {}", "t: 3", "t: {old: 3}", "t: {old: {train: 3}}"])
def test_a_cell_that_no_table_has_is_told(repository, content):
    write(repository, LOW, "data/cells/t/old/seed-0")
    (repository.folder / "tables/params.yaml").write_text(content)
    assert told(".:t/old") == "tables/params.yaml: has no cell t/old; name one that it has"


def test_outside_of_a_repository_that_is_told(in_tmp):
    assert "no Git repository; run from the folder of a clone" in told("HEAD")


def test_a_project_in_a_folder_of_a_repository_is_read_from_that_folder(repository, compare, monkeypatch):
    inner = Project(repository.folder / "inner")
    inner.folder.mkdir()
    (inner.folder / "params.yaml").write_text("train: {alpha: 3}\n")
    monkeypatch.chdir(inner.folder)
    commit(inner, HIGH)
    assert compare("HEAD", "HEAD")[0] == 3


def test_a_command_line_that_cannot_be_read_has_the_status_of_an_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(["compare"])
    assert end.value.code == 1  # argparse's own 2 would say "worse"
    assert capsys.readouterr().err == (
        "usol compare: the following arguments are required: REV_A; see usol compare --help\n"
    )


def test_what_the_stages_write_is_compared_between_commits(trained):
    commit(trained)
    done = trained.run("usol", "compare", "HEAD", "--json")
    assert done.returncode == 3, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["protocols"]) == ["adaptive", "lvs_top50", "half_max"]
    assert {of["n_paired"] for of in figures["protocols"].values()} == {6}
    written = json.loads((trained.folder / "data/metrics/eval.json").read_text())
    for protocol, of in figures["protocols"].items():
        for name in ("success_rate", "auc", "mean_ciou"):
            assert of[name]["a"] == of[name]["b"] == pytest.approx(written["method"][protocol][name], abs=1e-6)
