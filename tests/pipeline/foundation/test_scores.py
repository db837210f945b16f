import numpy as np
import pytest

from pipeline.foundation import scores
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


@pytest.fixture
def found() -> scores.Scores:
    boxes = [UPPER_LEFT, LOWER_RIGHT, []]
    prior = scores.mean_truth([UPPER_LEFT])
    return scores.score_maps(PROTOCOLS, RIGHT, WRONG, WRONG, boxes, prior)


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


def test_a_clip_scores_the_same_alone_and_in_company(found, monkeypatch):
    monkeypatch.setattr(scores, "CHUNK", 1)
    alone = scores.score_maps(PROTOCOLS, RIGHT[:1], WRONG[:1], WRONG[:1], [UPPER_LEFT], None)
    for protocol in PROTOCOLS:
        assert alone.ciou[protocol]["method"][0] == found.ciou[protocol]["method"][0]


def test_figures_are_of_the_annotated_clips(found):
    figures = scores.figures(found, ["a", "b", "c"], np.array([False, True, False]), 50)
    method = figures["method"]["adaptive"]
    assert method["success_rate"] == 1
    assert method["mean_ciou"] == pytest.approx(np.nanmean(found.ciou["adaptive"]["method"]), abs=1e-6)
    assert figures["hard"]["n"] == 1
    assert figures["wrong_sound"]["adaptive"]["lead"] == 0.5  # one of two clips is lost to the wrong sound
    assert figures["hard_wrong_sound"]["adaptive"]["lead"] == 0
    assert figures["baselines"]["full"]["adaptive"]["lead"] == 1
    assert set(figures["baselines"]) == {"centre", "full", "bottom_up", "prior", "oracle"}


def test_without_any_box_figures_are_null_but_for_what_needs_none():
    found = scores.score_maps(PROTOCOLS, RIGHT, WRONG, WRONG, [[], [], []], None)
    figures = scores.figures(found, ["a", "b", "c"], np.zeros(3, bool), 50)
    assert set(figures["method"]["adaptive"].values()) == {None}
    assert figures["wrong_sound"]["half_max"]["moved"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["wrong_sound"]["adaptive"]["moved"] is None
    assert "prior" not in figures["baselines"]


def test_truth_is_what_sounds_and_a_consensus_of_annotators():
    silent = box(0, 0, 1, 1, sounding=False)
    assert scores.truth_of([silent]) is None
    assert scores.truth_of([silent, box(0, 0, 0.5, 1)]).mean() == 0.5
    two = [box(0, 0, 0.5, 1, "a"), box(0, 0, 1, 1, "b")]
    assert scores.truth_of(two).mean() == 0.75  # half agreed, half on one vote
    assert scores.mean_truth([[], [silent]]) is None
