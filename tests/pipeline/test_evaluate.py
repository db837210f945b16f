import csv
import json
import shutil
from collections import Counter
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from pipeline import evaluate
from pipeline.foundation import heat, manifest, shards
from pipeline.foundation.manifest import Box, Clip, Manifest
from pipeline.foundation.params import ProtocolName
from pipeline.foundation.shards import Shards


def metrics(project) -> dict:
    return json.loads((project.folder / "data/metrics/eval.json").read_text())


def test_every_figure_is_there_and_a_share(trained):
    figures = metrics(trained)
    assert (figures["system"], figures["split"], figures["n"], figures["n_annotated"]) == ("usol", "test", 6, 6)
    assert set(figures["baselines"]) == {"centre", "full", "bottom_up", "prior", "oracle", "mean_bottom_up"}
    for part in (figures["method"], figures["wrong_sound"], *figures["baselines"].values()):
        assert set(part) == {"adaptive", "lvs_top50", "half_max"}
        for values in part.values():
            for name in ("success_rate", "auc", "mean_ciou"):
                assert 0 <= values[name] <= 1
            assert values["success_rate_low"] <= values["success_rate"] <= values["success_rate_high"]
    assert figures["baselines"]["oracle"]["adaptive"]["success_rate"] == 1


def test_scores_per_clip_add_up_to_the_figures(trained):
    with (trained.folder / "data/metrics/clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    baselines = [f"ciou_{name}" for name in metrics(trained)["baselines"]]
    assert list(rows[0]) == [*evaluate.CLIP_COLUMNS, *baselines, *evaluate.MORE_COLUMNS]
    for protocol in ("adaptive", "lvs_top50", "half_max"):
        scores = [float(row["ciou"]) for row in rows if row["protocol"] == protocol]
        assert len(scores) == 6
        assert metrics(trained)["method"][protocol]["mean_ciou"] == pytest.approx(np.mean(scores), abs=1e-5)
    assert Counter(row["hard"] for row in rows)["1"] == 3 * metrics(trained)["hard"]["n"]


def test_the_success_curve_begins_at_one_and_ends_low(trained):
    with (trained.folder / "data/metrics/success.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["threshold"]) for row in rows] == pytest.approx([0.05 * i for i in range(21)])
    assert float(rows[0]["method"]) == float(rows[-1]["oracle"]) == 1
    rate = metrics(trained)["method"]["adaptive"]["success_rate"]
    assert float(rows[10]["method"]) == pytest.approx(rate, abs=1e-6)


def test_raw_maps_are_stored_for_every_clip_with_both_sounds(trained):
    heat = Shards(trained.folder / "data/heat")
    assert sorted(heat.clip_ids) == [f"test-{i:04d}" for i in range(6)]
    shown = {name: heat.read("test-0003", name) for name in ("right", "wrong", "silence", "noise")}
    for heard in shown.values():
        assert heard.shape == (4, 4)
        assert np.abs(heard).max() <= 1
    assert len({heard.tobytes() for heard in shown.values()}) == 4
    assert sorted(Shards(trained.folder / "data/heat/val").clip_ids) == [f"val-{i:04d}" for i in range(4)]


def test_probes_say_how_much_stays_lit(trained):
    told = metrics(trained)["probes"]
    assert told["n"] == 6
    assert set(told["thresholds"]) == {"half", "universal_max", "universal_q3"}
    for sound in ("silence", "noise", "wrong_sound"):
        for bound in ("half", "own_median", "own_adaptive", "universal_max", "universal_q3"):
            assert all(0 <= share <= 1 for share in told[sound][bound].values())
    assert 0 <= told["f"]["f"] <= 1


def test_with_masks_all_protocols_and_a_clip_that_is_missing(trained):
    """One run for all that the default does not show."""
    listing = trained.folder / "data/source/test/clips.csv"
    rows = listing.read_text().splitlines()
    listing.write_text("\n".join([*rows, rows[1].replace("test-0000", "gone")]) + "\n")
    mask = np.zeros((1, 224, 224), np.uint8)
    mask[0, :100] = 1
    shards.write(trained.folder / "data/source/test/masks.h5", "source", ["test-0002"], {"mask": mask})
    every = get_args(ProtocolName)
    trained.set({"evaluate": {"protocols": list(every)}})
    trained.stage("evaluate")
    figures = metrics(trained)
    assert (figures["n"], figures["n_missing"]) == (6, 1)
    missing = (trained.folder / "data/metrics/missing.csv").read_text().splitlines()
    assert missing[1] == 'gone,media/gone.mp4,"has no frame, no sound, no bottom-up map"'
    assert set(figures["method"]) == set(every)
    assert figures["masks"]["n"] == 1
    assert figures["masks"]["full"]["half_max"]["mean_iou"] == pytest.approx(100 / 224, abs=1e-6)
    assert {name for name, told in figures["protocols"].items() if told["optimistic"]} == {"best_fixed_on_test"}
    assert 0 < figures["protocols"]["best_fixed"]["thresholds"]["method"] < 1
    auc = {name: figures["method"][name]["auc"] for name in ("best_fixed", "best_fixed_on_test")}
    assert auc["best_fixed"] <= auc["best_fixed_on_test"]
    shown = trained.run("usol", "tables")
    assert "IoU on 1 masks" in shown.stdout, shown.stderr
    assert "optimistic: its threshold was chosen on these very clips" in shown.stdout
    shown = trained.run("usol", "tables", "protocols")  # from the stored maps alone
    assert shown.returncode == 0, shown.stderr
    for name in every:
        told = figures["method"][name]
        assert f"\n{name} " in shown.stdout
        assert f"{told['success_rate']:.3f} [{told['success_rate_low']:.2f}, " in shown.stdout
    shown = trained.run("usol", "tables", "parts")
    assert shown.returncode == 0, shown.stderr
    assert "easy" in shown.stdout
    assert "size" in shown.stdout


def test_overlays_are_pictures(trained):
    (path,) = (trained.folder / "data/overlays").glob("*.png")
    with Image.open(path) as image:
        assert image.size[0] > 600
        assert np.asarray(image.convert("L")).std() > 20


def test_evaluating_again_gives_the_same_bytes(trained):
    folders = ("data/metrics", "data/heat", "data/overlays")
    before = [trained.bytes_of(folder) for folder in folders]
    trained.stage("evaluate")
    assert [trained.bytes_of(folder) for folder in folders] == before


def test_regions_vote_on_the_maps_beside_what_votes_are_worth_without_a_system(trained):
    raw, probes = trained.bytes_of("data/heat"), metrics(trained)["probes"]
    before = metrics(trained)
    assert (before["vote"], before["regions"]) == ("none", None)
    every = get_args(ProtocolName)
    trained.set({"evaluate": {"vote": "regions", "protocols": list(every)}})
    trained.stage("evaluate")
    after = metrics(trained)
    assert (after["vote"], after["regions"]) == ("regions", "selective_search")
    assert set(after["baselines"]) - set(before["baselines"]) == {"centre_voted", "bottom_up_voted", "other_boxes"}
    assert trained.bytes_of("data/heat") == raw
    assert after["probes"] == probes
    for name in ("centre", "full", "bottom_up", "prior", "oracle"):
        assert after["baselines"][name]["adaptive"]["mean_ciou"] == before["baselines"][name]["adaptive"]["mean_ciou"]
    for part in ("method", "wrong_sound"):
        assert after[part]["adaptive"]["mean_ciou"] != before[part]["adaptive"]["mean_ciou"]
    shown = trained.run("usol", "tables")
    assert "; regions of selective_search vote on the maps; 95 % intervals in" in shown.stdout, shown.stderr
    assert "method, voted by another clip's boxes" in shown.stdout
    shown = trained.run("usol", "tables", "protocols")  # votes again on the stored maps
    assert shown.returncode == 0, shown.stderr
    for name in every:
        rates = [of[name]["success_rate"] for of in (after["wrong_sound"], *after["baselines"].values())]
        (row,) = (line for line in shown.stdout.splitlines() if line.startswith(f"{name} "))
        assert row.split()[-len(rates) :] == [f"{rate:.3f}" for rate in rates]


def test_a_clip_without_regions_cannot_be_voted_on(trained):
    shutil.rmtree(trained.folder / "data/regions/selective_search")
    (trained.folder / "data/regions/selective_search").mkdir()
    trained.set({"evaluate": {"vote": "regions"}})
    done = trained.run("python", "-m", "pipeline.evaluate")
    assert done.returncode == 1
    assert "data/regions/selective_search: no shards here" in done.stderr
    shards.write_flat(
        trained.folder / "data/regions/selective_search/shard-00000.h5",
        "propose",
        ["test-0000"],
        {"box": [np.array([[0, 0, 8, 8]], np.int16)]},
    )
    done = trained.run("python", "-m", "pipeline.evaluate")
    assert done.returncode == 1
    assert "data/regions/selective_search: no regions of 5 clips, among them test-0001" in done.stderr


def test_without_boxes_figures_are_null_and_the_pictures_are_made(trained):
    for split in ("train", "test"):
        boxes = trained.folder / f"data/source/{split}/boxes.csv"
        boxes.write_text(boxes.read_text().splitlines(keepends=True)[0])
    named = manifest.Rejection("gone", "list.txt", "named, and not there")
    split = manifest.read(trained.folder / "data/source/test")
    manifest.write(trained.folder / "data/source/test", Manifest(split.clips, (), (named,)))
    done = trained.stage("evaluate")
    assert "no box in data/source/test: figures that need the truth are null" in done.stderr
    figures = metrics(trained)
    assert (figures["n"], figures["n_annotated"], figures["n_missing"]) == (6, 0, 1)
    assert set(figures["method"]["half_max"].values()) == {None}
    assert 0 <= figures["wrong_sound"]["half_max"]["moved"] <= 1
    assert figures["wrong_sound"]["adaptive"]["moved"] is None
    assert "prior" not in figures["baselines"]
    assert len(list((trained.folder / "data/overlays").glob("*.png"))) == 1
    shown = trained.run("usol", "tables")
    assert shown.returncode == 0
    assert "no boxes to score against; a wrong sound moves" in shown.stdout


def test_a_split_without_clips_is_told(trained):
    listing = trained.folder / "data/source/val/clips.csv"
    listing.write_text(listing.read_text().splitlines(keepends=True)[0])
    trained.set({"evaluate": {"split": "val"}})
    done = trained.run("python", "-m", "pipeline.evaluate")
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: evaluate.split: val has no usable clip (0 before rejections)")


def clip(clip_id: str, label: str, hard: bool = False, group: str = "") -> Clip:
    return Clip(clip_id, media=clip_id, label=label, hard=hard, group=group or clip_id)


def sees(clip_id: str, label: str, sounding: bool = False) -> Box:
    return Box(clip_id, "", 0, 0, 1, 1, label, sounding)


def test_a_wrong_sound_has_another_label_and_on_hard_clips_that_of_another_thing_in_sight():
    clips = [clip(f"dog{i}", "dog") for i in range(5)] + [clip(f"cat{i}", "cat") for i in range(5)]
    clips += [clip(f"cow{i}", "cow") for i in range(5)] + [clip("hard", "dog", hard=True)]
    boxes = [sees("hard", "dog", True), sees("hard", "cow"), sees("hard", "chair")]
    split = Manifest(tuple(clips), tuple(boxes))
    wrong = dict(zip([c.clip_id for c in clips], heat.wrong_sounds(clips, split, []), strict=True))
    label = {c.clip_id: c.label for c in clips}
    assert all(label[wrong[clip_id]] != label[clip_id] for clip_id in wrong)
    assert label[wrong["hard"]] == "cow"
    assert len(set(wrong.values())) > 5


def test_without_labels_a_wrong_sound_is_of_another_group():
    clips = [clip(f"{film}{i}", "", group=film) for film in "ab" for i in range(4)]
    wrong = heat.wrong_sounds(clips, Manifest(tuple(clips), ()), [])
    assert all(w[0] != c.group for c, w in zip(clips, wrong, strict=True))


def test_a_split_of_one_kind_borrows_any_other_sound():
    clips = [clip("a", "dog"), clip("b", "dog")]
    heard = ["a", "b", "c"]
    wrong = heat.wrong_sounds(clips, Manifest(tuple(clips), ()), heard)
    assert wrong[0] in ("b", "c")
    assert wrong[1] in ("a", "c")


def test_hard_clips_of_the_world_get_the_sound_of_the_other_kind(trained):
    split = manifest.read(trained.folder / "data/source/test")
    clips = sorted(split.clips, key=lambda c: c.clip_id)
    label = {c.clip_id: c.label for c in clips}
    boxes = split.boxes_of()
    for c, wrong in zip(clips, heat.wrong_sounds(clips, split, []), strict=True):
        others = {box.label for box in boxes[c.clip_id] if not box.sounding} & set(label.values())
        if c.hard and others:
            assert label[wrong] in others
