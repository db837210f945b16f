import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.foundation import photographs, shards
from pipeline.foundation.photographs import Augmentation, Photographs, Truth

SIDE = 64


def truth(*boxes: list[float]) -> Truth:
    n = len(boxes)
    box = np.array(boxes, np.float32).reshape(-1, 4)
    return Truth(box, np.arange(1, n + 1, dtype=np.int64), np.zeros(n, bool))


def marked(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """A dark frame with one white box."""
    frame = np.zeros((SIDE, SIDE, 3), np.uint8)
    frame[y0:y1, x0:x1] = 255
    return frame


def white_box(frame: np.ndarray) -> list[int]:
    y, x = np.nonzero(frame[..., 0] > 127)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_a_mirrored_frame_s_box_stands_where_its_content_does():
    frame, moved = photographs.mirrored(marked(5, 10, 25, 50), truth([5, 10, 25, 50]))
    assert white_box(frame) == moved.box[0].tolist() == [39, 10, 59, 50]


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_a_zoomed_frame_s_box_stands_where_its_content_does(seed):
    rng = np.random.default_rng(seed)
    scale = tuple(1.8 ** rng.uniform(-1, 1, 2))
    frame, moved = photographs.zoomed(marked(20, 25, 44, 39), truth([20, 25, 44, 39]), scale, rng.random(2))
    if len(moved.box):
        assert np.abs(np.array(white_box(frame)) - moved.box[0]).max() <= 1
        assert (moved.box >= 0).all()
        assert (moved.box <= SIDE).all()


def test_a_box_of_which_too_little_stays_is_left_out_with_its_label():
    known = truth([0, 0, 10, 10], [54, 54, 64, 64])
    _, moved = photographs.zoomed(marked(0, 0, 10, 10), known, (2.0, 2.0), np.array([1.0, 1.0]))
    assert moved.box.tolist() == [[44, 44, 64, 64]]
    assert moved.label.tolist() == [2]


def test_hues_go_round_and_brightness_stays():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    assert photographs.hues_turned(red, 0.0).tolist() == red.tolist()
    for turn, channel in ((1 / 3, 1), (2 / 3, 2)):
        turned = photographs.hues_turned(red, turn)
        assert turned[0, 0].argmax() == channel
        assert turned.max() == 200
    greys = np.full((2, 2, 3), 90, np.uint8)
    assert photographs.hues_turned(greys, 0.4).tolist() == greys.tolist()


@pytest.mark.parametrize("kind", ["flips", "strong"])
def test_what_is_done_follows_from_seed_epoch_and_name_alone(kind):
    frame, known = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8), truth([5, 10, 25, 50])
    made = [
        Augmentation(kind, 0, epoch)(name, frame, known) for epoch, name in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))
    ]
    assert all(np.array_equal(x, y) for x, y in zip(made[0], made[1], strict=True) if not isinstance(x, Truth))
    assert made[0][1].box.tolist() == made[1][1].box.tolist()
    assert len({of_frame.tobytes() + colour.tobytes() for of_frame, _, colour in made}) == 3


def test_a_photograph_without_objects_is_augmented_too():
    frame, known, _ = Augmentation("strong", 0, 0)("a", marked(0, 0, 64, 64), truth())
    assert frame.shape == (SIDE, SIDE, 3)
    assert known.box.shape == (0, 4)


def test_none_changes_nothing():
    frame, known, colour = Augmentation("none", 0, 0)("a", marked(1, 2, 3, 4), truth([1, 2, 3, 4]))
    assert white_box(frame) == known.box[0].tolist() == [1, 2, 3, 4]
    assert colour.tolist() == [[1, 0]] * 3


def test_contrast_turns_round_the_frame_s_mean():
    frame = np.random.default_rng(1).integers(100, 140, (SIDE, SIDE, 3), np.uint8)
    changed, _, colour = Augmentation("flips", 3, 0)("a", frame, truth())
    seen = photographs.frames_on(torch.device("cpu"), [changed], [colour])
    expected = np.clip(changed / 255 * colour[:, 0] + colour[:, 1], 0, 1).transpose(2, 0, 1)
    assert seen[0].numpy() == pytest.approx(expected, abs=1e-6)
    brightness = colour[:, 1] / (frame.mean() / 255)  # brightness (1 - contrast), the same of all colours
    assert np.ptp(brightness) < 1e-6


def written(tmp_path, names: list[str]) -> Photographs:
    frames = np.stack([np.full((SIDE, SIDE, 3), i, np.uint8) for i in range(len(names))])
    rows = {
        "corners": [np.array([[0.25, 0, 0.5, 1]] * i, np.float32).reshape(-1, 4) for i in range(len(names))],
        "label": [np.full(i, 3, np.int16) for i in range(len(names))],
        "difficult": [np.ones(i, np.int16) for i in range(len(names))],
    }
    shards.write(tmp_path / photographs.PHOTOGRAPHS, "detector", names, {"frame": frames})
    shards.write_flat(tmp_path / photographs.BOXES, "detector", names, rows)
    return Photographs([tmp_path])


def test_a_photograph_is_read_with_its_boxes_in_pixels_and_the_same_from_memory(tmp_path):
    read = written(tmp_path, ["a", "b"])
    for _ in range(2):
        frame, known = read.read("b")
        assert frame.max() == frame.min() == 1
        assert known.box.tolist() == [[16, 0, 32, 64]]
        assert (known.label.tolist(), known.difficult.tolist()) == ([3], [True])
        assert read.read("a")[1].box.shape == (0, 4)


def test_memory_is_bounded_and_what_does_not_fit_is_read_again(tmp_path, monkeypatch):
    read = written(tmp_path, ["a", "b", "c"])
    monkeypatch.setattr(photographs, "MOST_KEPT", 2 * SIDE * SIDE * 3)
    assert [read.read(name)[0].max() for name in "abcabc"] == [0, 1, 2, 0, 1, 2]
    assert len(read._kept) == 2


def test_every_epoch_shows_each_photograph_once_in_another_order(tmp_path):
    read = written(tmp_path, [f"p{i}" for i in range(10)])
    orders = [[name for batch in read.shuffled(4, 0, epoch) for name in batch] for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(read.names)
    assert [len(batch) for batch in read.in_turn(4)] == [4, 4, 2]


def test_what_a_frame_shows_beyond_its_edges_is_its_mean_colour():
    frame = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    seen, _ = photographs.zoomed(frame, truth(), (0.5, 0.5), np.array([0.0, 0.0]))
    assert seen[-1, -1].tolist() == pytest.approx(frame.mean(axis=(0, 1)).tolist(), abs=1)
    assert np.abs(seen[:32, :32].astype(int) - cv2.resize(frame, (32, 32))).mean() < 2
