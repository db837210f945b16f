import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.upsampling import linear
from model.voting import contrasts, vote

SIZE = 64


def literal(cells: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """The recipe once more, pixel by pixel."""

    def scaled(values):
        return (values - values.min()) / (values.max() - values.min())

    s = scaled(cells.astype(float))
    s = linear(s[None], size)[0].astype(float)
    heat = np.zeros((size, size))
    for x, y, w, h in {tuple(box) for box in boxes.tolist()}:
        if w * h < 0.02 * size * size:
            continue
        inside, ring = [], []
        for row in range(max(0, y - h - 8), min(size, y + 2 * h + 8)):
            for column in range(max(0, x - w - 8), min(size, x + 2 * w + 8)):
                is_inside = y <= row < y + h and x <= column < x + w
                (inside if is_inside else ring).append(s[row, column])
        c = np.mean(inside) - np.mean(ring) if ring else 0
        heat[y : y + h, x : x + w] += np.exp(c / 0.05)
    if heat.max() > 0:
        heat /= heat.max()
    return (heat + 0.001 * s) ** 0.25


def some_boxes(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    corners = np.sort(rng.integers(0, size + 1, (n, 2, 2)), axis=1)  # (n, 2, xy)
    corners[:, 1] = np.maximum(corners[:, 1], corners[:, 0] + 1)
    corners -= np.maximum(corners[:, 1:] - size, 0)
    return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1).astype(np.int16)


@pytest.mark.parametrize("seed", range(2))
def test_votes_equal_the_recipe_written_out(seed):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2, 4, 4)).astype(np.float32)
    boxes = [some_boxes(rng, 8, SIZE), np.array([[0, 0, SIZE, SIZE], [16, 0, 16, 32]], np.int16)]
    voted = vote(maps, boxes, SIZE)
    assert (voted.dtype, voted.shape) == (np.float32, (2, SIZE, SIZE))
    for i in range(2):
        assert voted[i] ** 4 == pytest.approx(literal(maps[i], boxes[i], SIZE) ** 4, abs=1e-6)


def test_a_contrast_is_the_mean_inside_less_that_of_the_ring():
    warm = np.zeros((40, 40))
    warm[10:14, 20:24] = 1
    box = np.array([[20, 10, 4, 4], [20, 10, 8, 4], [0, 0, 40, 40], [0, 0, 2, 2], [20, 10, 2, 4]], np.int16)
    # A half of the second is warm. The whole frame has no ring. The last leaves half of what is warm in its ring, which
    # reaches 2 + 8 to each side and 4 + 8 up and down, as far as there is a frame.
    n_last = (2 * 10 + 2) * (10 + 4 + 12) - 8
    assert contrasts(warm, box) == pytest.approx([1, 0.5, 0, 0, 1 - 8 / n_last])
    assert contrasts(1 - warm, box)[1] == pytest.approx(0.5 - 1)
    assert contrasts(warm[:, ::-1], np.array([[12, 10, 8, 4]], np.int16))[0] == pytest.approx(0.5)
    assert contrasts(np.full((40, 40), 0.3), np.array([[20, 10, 8, 4]], np.int16))[0] == pytest.approx(0)


def test_the_box_round_what_is_warm_wins_over_its_blur():
    cells = np.zeros((1, 4, 4), np.float32)
    cells[0, 1:3, 1:3] = 1
    boxes = [np.array([[16, 16, 32, 32], [0, 0, 32, 32], [0, 0, 64, 64], [0, 40, 64, 24]], np.int16)]
    voted = vote(cells, boxes, SIZE)[0]
    # Two of the four boxes hold the corner at (20, 20), and the one round the warm cells says the most by far.
    assert voted[20, 20] == pytest.approx(1, abs=0.01)
    assert voted[40, 40] > 0.95
    assert voted[60, 60] < 0.3
    assert (voted >= 0.5).mean() == pytest.approx(0.25, abs=0.05)


def test_a_box_votes_once_however_often_the_search_found_it():
    rng = np.random.default_rng(1)
    maps, boxes = rng.normal(size=(1, 4, 4)).astype(np.float32), some_boxes(rng, 6, SIZE)
    assert np.array_equal(vote(maps, [boxes], SIZE), vote(maps, [boxes[[3, 0, 1, 2, 3, 4, 5, 0]]], SIZE))


def test_boxes_below_a_fiftieth_of_the_frame_do_not_vote():
    maps = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    small, enough = np.array([[30, 30, 9, 9]], np.int16), np.array([[30, 30, 10, 9]], np.int16)
    rest = (0.001 * linear(maps / 15, SIZE)) ** 0.25
    assert vote(maps, [small], SIZE) == pytest.approx(rest, abs=1e-6)
    assert vote(maps, [np.zeros((0, 4), np.int16)], SIZE) == pytest.approx(rest, abs=1e-6)
    assert vote(maps, [enough], SIZE)[0, 30:39, 30:40].min() >= 1


def test_what_points_nowhere_is_not_made_to_point_by_its_boxes():
    rng = np.random.default_rng(2)
    boxes = [some_boxes(rng, 6, SIZE)]
    assert not vote(np.full((1, 4, 4), 0.7, np.float32), boxes, SIZE).any()
    assert np.isnan(vote(np.full((1, 4, 4), np.nan, np.float32), boxes, SIZE)).all()


@pytest.mark.parametrize("box", [[-1, 0, 8, 8], [0, 0, 65, 8], [60, 60, 4, 5], [3, 3, 0, 4]])
def test_a_box_that_is_empty_or_leaves_the_frame_is_refused(box):
    with pytest.raises(ValueError, match="a box is empty or leaves the frame of 64 pixels a side"):
        vote(np.eye(4, dtype=np.float32)[None], [np.array([box], np.int16)], SIZE)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(-20, 20))
def test_neither_scale_nor_offset_of_a_map_matters(seed, factor, offset):
    rng = np.random.default_rng(seed)
    maps, boxes = rng.normal(size=(1, 4, 4)), [some_boxes(rng, 8, SIZE)]
    voted = vote(maps, boxes, SIZE)
    assert vote(factor * maps + offset, boxes, SIZE) ** 4 == pytest.approx(voted**4, abs=1e-6)
    assert 0 <= voted.min() <= voted.max() <= 1.001


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_votes_mirror_with_the_frame_and_a_map_is_voted_on_alone_as_in_company(seed):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, 4, 4)).astype(np.float32)
    boxes = [some_boxes(rng, 8, SIZE) for _ in maps]
    voted = vote(maps, boxes, SIZE)
    mirrored = [np.stack([SIZE - b[:, 0] - b[:, 2], *b[:, 1:].T], axis=1) for b in boxes]
    assert vote(maps[:, :, ::-1], mirrored, SIZE)[:, :, ::-1] ** 4 == pytest.approx(voted**4, abs=1e-6)
    assert np.array_equal(vote(maps[1:2], boxes[1:2], SIZE)[0], voted[1])
