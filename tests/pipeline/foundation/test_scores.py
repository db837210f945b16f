import numpy as np
import pytest

from model.localization import ciou
from model.protocols import FIXED_THRESHOLDS, fixed
from pipeline.foundation import figures, scores
from pipeline.foundation.manifest import Box

PROTOCOLS = ("adaptive", "lvs_top50", "half_max")


def box(x0: float, y0: float, x1: float, y1: float, annotator: str = "", sounding: bool = True) -> Box:
    return Box("c", annotator, x0, y0, x1, y1, "", sounding)


def pointing_at(row: int, column: int) -> np.ndarray:
    rows, columns = np.mgrid[0:4, 0:4]
    return -np.maximum(abs(rows - row), abs(columns - column)).astype(np.float32)


UPPER_LEFT, LOWER_RIGHT = [box(0, 0, 0.5, 0.5)], [box(0.5, 0.5, 1, 1)]
RIGHT = np.stack([pointing_at(0, 0), pointing_at(3, 3), pointing_at(0, 3)])
WRONG = np.stack([pointing_at(3, 3), pointing_at(3, 3), pointing_at(3, 0)])


CLIPS = figures.Known(
    ["a", "b", "c"], ["dog", "cat", "cow"], np.array([False, True, False]), np.zeros(3, bool), list("pqr")
)


def material(boxes, rows=slice(None), **more) -> scores.Material:
    prior = scores.mean_truth([UPPER_LEFT])
    priors = {"prior": prior, "mean_bottom_up": WRONG.mean(axis=0)} if prior is not None else {}
    return scores.Material(RIGHT[rows], WRONG[rows], WRONG[rows], boxes[rows], priors, **more)


BOXES = [UPPER_LEFT, LOWER_RIGHT, []]


@pytest.fixture
def found() -> scores.Scores:
    return scores.score(PROTOCOLS, material(BOXES), {})


def test_what_points_at_the_truth_scores_and_what_does_not_does_not(found):
    ciou = found.ciou["adaptive"]
    assert ciou["method"][0] > 0.5
    assert ciou["wrong_sound"][0] < 0.1
    assert ciou["bottom_up"][1] == ciou["method"][1]
    assert ciou["oracle"][:2].tolist() == [1, 1]
    assert ciou["prior"][0] == 1
    assert ciou["full"][:2].tolist() == [0.25, 0.25]


def test_a_clip_without_a_box_has_no_score(found):
    assert found.annotated.tolist() == [True, True, False]
    assert all(np.isnan(values[2]) for of in found.ciou.values() for values in of.values())


def test_moved_needs_no_box_unless_the_protocol_does(found):
    assert found.moved["half_max"].tolist() == [1, 0, 1]
    assert found.moved["adaptive"][:2].tolist() == [1, 0]
    assert np.isnan(found.moved["adaptive"][2])


def test_a_clip_scores_the_same_alone_and_in_company(monkeypatch):
    every = tuple(figures_protocols())
    chosen = {"best_fixed": {"method": 0.3, "centre": 0.6}}
    together = scores.score(every, material(BOXES), chosen)
    monkeypatch.setattr(scores, "CHUNK", 1)
    for i in range(3):
        alone = scores.score(every, material(BOXES, slice(i, i + 1)), chosen)
        for protocol, by_who in together.ciou.items():
            for who, values in by_who.items():
                assert np.array_equal(alone.ciou[protocol][who], values[i : i + 1], equal_nan=True), (protocol, who)


def figures_protocols() -> list[str]:
    return [*scores.PROTOCOLS, "best_fixed"]


def test_figures_are_of_the_annotated_clips(found):
    told = figures.figures(found, CLIPS, 50)
    method = told["method"]["adaptive"]
    assert (method["success_rate"], method["n"], method["k"]) == (1, 2, 2)
    assert method["mean_ciou"] == pytest.approx(np.nanmean(found.ciou["adaptive"]["method"]), abs=1e-6)
    assert method["mean_ciou_low"] <= method["mean_ciou"] <= method["mean_ciou_high"]
    assert told["hard"]["n"] == 1
    assert told["wrong_sound"]["adaptive"]["lead"] == 0.5  # one of two clips is lost to the wrong sound
    assert told["hard_wrong_sound"]["adaptive"]["lead"] == 0
    assert told["baselines"]["full"]["adaptive"]["lead"] == 1
    assert set(told["baselines"]) == {"centre", "full", "bottom_up", "prior", "oracle", "mean_bottom_up"}
    assert not {"masks", "extended", "interactive"} & set(told)


def test_without_any_box_figures_are_null_but_for_what_needs_none():
    none = scores.Material(RIGHT, WRONG, WRONG, [[], [], []])
    told = figures.figures(scores.score(PROTOCOLS, none, {}), CLIPS, 50)
    assert set(told["method"]["adaptive"].values()) == {None}
    assert told["wrong_sound"]["half_max"]["moved"] == pytest.approx(2 / 3, abs=1e-6)
    assert told["wrong_sound"]["adaptive"]["moved"] is None
    assert told["mask_area"]["method"]["half_max"]["empty"] == 0
    assert told["mask_area"]["method"]["adaptive"] == {"mean": None, "empty": None, "full": None}
    assert "prior" not in told["baselines"]


def test_empty_and_full_masks_are_counted():
    maps = np.stack([np.full((4, 4), -0.5), np.full((4, 4), 0.5), pointing_at(0, 0)]).astype(np.float32)
    shown = scores.Material(maps, maps, maps, BOXES)
    told = figures.figures(scores.score(["slavc_absolute", "half_max"], shown, {}), CLIPS, 10)
    of_method = told["mask_area"]["method"]
    assert (of_method["slavc_absolute"]["empty"], of_method["slavc_absolute"]["full"]) == pytest.approx(
        (1 / 3, 1 / 3), abs=1e-6
    )
    assert (of_method["half_max"]["empty"], of_method["half_max"]["full"]) == pytest.approx((2 / 3, 0), abs=1e-6)


def test_the_best_fixed_threshold_is_the_one_of_the_largest_auc():
    here = material(BOXES)
    best = scores.best_thresholds(here)
    truth = np.stack([scores.truth_of(of_clip) for of_clip in BOXES[:2]])
    areas = []
    for theta in FIXED_THRESHOLDS:
        values = ciou(fixed(theta).masks(RIGHT[:2], truth), truth)
        areas.append(sum(np.mean(values >= 0.05 * i - 1e-12) for i in range(1, 20)) + np.mean(values >= 1 - 1e-12) / 2)
    assert best["method"] == FIXED_THRESHOLDS[int(np.argmax(areas))]
    assert "full" not in best
    assert scores.best_thresholds(scores.Material(RIGHT, WRONG, WRONG, [[], [], []])) is None


def test_a_threshold_comes_from_val_and_without_val_there_are_no_figures():
    here = material(BOXES)
    val = scores.Material(-RIGHT, WRONG, WRONG, BOXES, here.priors)
    both = ("best_fixed", "best_fixed_on_test")
    chosen = scores.fitted_thresholds(both, here, val)
    assert chosen["best_fixed"]["method"] == scores.best_thresholds(val)["method"]
    assert chosen["best_fixed_on_test"] == scores.best_thresholds(here)
    found = scores.score(both, here, scores.fitted_thresholds(both, here, None))
    told = figures.figures(found, CLIPS, 10)
    assert set(told["method"]["best_fixed"].values()) == {None}
    alone = figures.figures(scores.score(["best_fixed"], here, {}), CLIPS, 10)
    assert set(alone["method"]["best_fixed"].values()) == {None}
    assert told["method"]["best_fixed_on_test"]["n"] == 2
    assert scores.fitted_thresholds(PROTOCOLS, here, val) == {}


def test_masks_are_scored_where_there_are_any():
    mask = np.zeros((224, 224), np.uint8)
    mask[:100, :100] = 1
    shown = material(BOXES, mask_of=lambda place: mask if place == 2 else None)
    found = scores.score(PROTOCOLS, shown, {})
    assert found.masked.tolist() == [False, False, True]
    told = figures.figures(found, CLIPS, 10)["masks"]
    assert told["n"] == 1
    assert told["oracle"]["adaptive"]["mean_iou"] == told["oracle"]["half_max"]["iou_50"] == 1
    assert told["full"]["half_max"]["mean_iou"] == pytest.approx(100**2 / 224**2, abs=1e-6)
    assert told["method"]["adaptive"]["iou_20"] == 0  # it points at the other corner


def test_negatives_are_in_the_extended_figures_alone():
    known = figures.Known(list("abc"), ["", "", ""], np.zeros(3, bool), np.array([False, False, True]), list("pqr"))
    strong = RIGHT / 10
    shown = scores.Material(np.stack([strong[0] + 0.9, strong[1] + 0.9, strong[2]]), WRONG, WRONG, BOXES)
    found = scores.score(PROTOCOLS, shown, {})
    told = figures.figures(found, known, 10)
    of_set = told["extended"]
    assert (of_set["n_positive"], of_set["n_negative"]) == (2, 1)
    assert of_set["adaptive"]["loc_acc"] == of_set["adaptive"]["ap_exact"] == of_set["adaptive"]["max_f1_exact"] == 1
    assert told["method"]["adaptive"]["n"] == 2
    assert told["mask_area"]["method"]["half_max"]["empty"] == 0


def test_a_picture_with_two_sounds_is_worth_its_worst():
    known = figures.Known(list("aab"), ["dog", "cat", "cow"], np.zeros(3, bool), np.zeros(3, bool), list("ppq"))
    shown = scores.Material(np.stack([RIGHT[0], RIGHT[0], RIGHT[2]]), WRONG, WRONG, BOXES)
    found = scores.score(PROTOCOLS, shown, {})
    told = figures.figures(found, known, 10)["interactive"]
    assert (told["n_pictures"], told["n"]) == (1, 2)
    assert told["adaptive"]["iiou"] == 0  # the same place for both sounds
    assert told["adaptive"]["mean_ciou"] == pytest.approx(np.nanmin(found.ciou["adaptive"]["method"]), abs=1e-6)


def test_parts_hold_every_clip_once(found):
    rows = list(figures.parts(found, CLIPS, 10))
    assert all(len(row) == len(figures.PART_COLUMNS) for row in rows)
    for part in ("hard", "size", "label"):
        of_part = [row for row in rows if row[0] == part and row[2] == "adaptive"]
        assert sum(row[3] for row in of_part) == 2
        assert sum(row[4] for row in of_part) == 2
    assert {row[1] for row in rows if row[0] == "size"} == {"large"}  # 112 x 112


def test_truth_is_what_sounds_and_a_consensus_of_annotators():
    silent = box(0, 0, 1, 1, sounding=False)
    assert scores.truth_of([silent]) is None
    assert scores.truth_of([silent, box(0, 0, 0.5, 1)]).mean() == 0.5
    two = [box(0, 0, 0.5, 1, "a"), box(0, 0, 1, 1, "b")]
    assert scores.truth_of(two).mean() == 0.75  # half agreed, half on one vote
    assert scores.mean_truth([[], [silent]]) is None
