import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import bottom_up

SIZE = 64


def boxes_in(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    x0, y0 = rng.integers(0, size, (2, n))
    w = np.array([rng.integers(1, size - x + 1) for x in x0])
    h = np.array([rng.integers(1, size - y + 1) for y in y0])
    return np.stack([x0, y0, w, h], axis=1).astype(np.int16)


def summed(boxes: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Eq. 1, 2 as they are written, at the frame's resolution."""
    image = np.zeros((size, size))
    for (x, y, w, h), weight in zip(boxes.tolist(), weights, strict=True):
        image[y : y + h, x : x + w] += weight
    return image


def grid_map(boxes: np.ndarray, weights: np.ndarray, size: int, resize: str) -> np.ndarray:
    return bottom_up.grid_maps([boxes], [weights], size, resize)[0]


def test_eq1_one_box_over_two_cells():
    box = np.array([[0, 0, 32, 16]], np.int16)
    expected = [[0.5, 0.5], [0, 0]]
    assert grid_map(box, np.array([0.5]), 32, "area").tolist() == expected
    assert grid_map(box, np.array([0.5]), 32, "bilinear").tolist() == expected


def test_eq1_a_cell_half_covered():
    left_half = np.array([[0, 0, 8, 16]], np.int16)  # of the first cell
    assert grid_map(left_half, np.array([1.0]), 32, "area")[0, 0] == 0.5
    assert grid_map(left_half, np.array([1.0]), 32, "bilinear")[0, 0] == 0.5  # pixel 7 in, pixel 8 out


@given(st.integers(0, 10_000), st.integers(0, 80))
def test_eq1_the_grid_equals_the_long_way(seed, n):
    rng = np.random.default_rng(seed)
    boxes, weights = boxes_in(SIZE, n, rng), rng.random(n)
    image = summed(boxes, weights, SIZE)
    cells = SIZE // bottom_up.STRIDE
    by_cv2 = cv2.resize(image, (cells, cells), interpolation=cv2.INTER_LINEAR)
    by_mean = image.reshape(cells, 16, cells, 16).mean(axis=(1, 3))
    assert grid_map(boxes, weights, SIZE, "bilinear") == pytest.approx(by_cv2, abs=1e-5)
    assert grid_map(boxes, weights, SIZE, "area") == pytest.approx(by_mean, abs=1e-5)


@given(st.integers(0, 1000))
def test_a_map_is_bounded_by_the_sum_of_weights_and_mirrors_with_its_boxes(seed):
    rng = np.random.default_rng(seed)
    boxes, weights = boxes_in(SIZE, 10, rng), rng.random(10)
    made = grid_map(boxes, weights, SIZE, "bilinear")
    assert made.min() >= 0
    assert made.max() <= weights.sum() + 1e-6
    mirrored = boxes.copy()
    mirrored[:, 0] = SIZE - boxes[:, 0] - boxes[:, 2]
    assert grid_map(mirrored, weights, SIZE, "bilinear") == pytest.approx(made[:, ::-1], abs=1e-6)


@given(st.integers(0, 10_000), st.integers(0, 30), st.sampled_from(["bilinear", "area"]))
def test_scores_are_clipped_at_the_frame_s_resolution_and_then_resized(seed, n, resize):
    rng = np.random.default_rng(seed)
    boxes, scores = boxes_in(SIZE, n, rng), rng.random(n)
    image = np.minimum(summed(boxes, scores, SIZE), 1)
    cells = SIZE // bottom_up.STRIDE
    by_cv2 = cv2.resize(image, (cells, cells), interpolation=cv2.INTER_LINEAR)
    by_mean = image.reshape(cells, 16, cells, 16).mean(axis=(1, 3))
    expected = by_cv2 if resize == "bilinear" else by_mean
    assert bottom_up.clipped_map(boxes, scores, SIZE, resize) == pytest.approx(expected, abs=1e-5)


def test_two_sure_boxes_on_half_a_cell_count_once():
    left_half = np.array([[0, 0, 8, 16]] * 2, np.int16)
    made = bottom_up.clipped_map(left_half, np.array([0.9, 0.9]), 32, "bilinear")
    assert made.tolist() == [[0.5, 0], [0, 0]]  # resized first, the half would be .9


def test_no_region_gives_an_empty_map():
    nothing = np.zeros((0, 4), np.int16)
    assert grid_map(nothing, np.zeros(0), SIZE, "bilinear").tolist() == np.zeros((4, 4)).tolist()


def test_with_equal_weights_a_map_counts_in_its_unit():
    boxes = boxes_in(SIZE, 50, np.random.default_rng(0))
    made = grid_map(boxes, bottom_up.region_weights(50, 50, "uniform"), SIZE, "bilinear")
    counts = made / bottom_up.count_unit(50, "uniform", "bilinear")
    assert counts == pytest.approx(np.rint(counts), abs=1e-4)
    assert bottom_up.count_unit(50, "rank", "bilinear") == bottom_up.count_unit(50, "uniform", "area") == 0


def test_uniform_weights_are_one_over_k_also_with_fewer_regions():
    assert bottom_up.region_weights(2, 4, "uniform").tolist() == [0.25, 0.25]


def test_rank_weights_fall_and_sum_to_one():
    assert bottom_up.region_weights(3, 3, "rank") == pytest.approx([3 / 6, 2 / 6, 1 / 6])


@given(st.integers(0, 1000))
def test_boxes_at_random_places_keep_their_sizes_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    boxes = boxes_in(SIZE, 20, rng)
    moved = bottom_up.at_random_places(boxes, SIZE, rng)
    assert moved[:, 2:].tolist() == boxes[:, 2:].tolist()
    assert moved[:, :2].tolist() != boxes[:, :2].tolist()
    assert (moved[:, :2] >= 0).all()
    assert (moved[:, 0] + moved[:, 2] <= SIZE).all()
    assert (moved[:, 1] + moved[:, 3] <= SIZE).all()


def test_permuted_cells_keep_their_values():
    made = np.arange(16, dtype=np.float32).reshape(4, 4)
    permuted = bottom_up.with_cells_permuted(made, np.random.default_rng(0))
    assert sorted(permuted.ravel()) == sorted(made.ravel())
    assert permuted.tolist() != made.tolist()


@given(st.integers(0, 1000))
def test_a_frame_s_map_is_the_same_in_any_company(seed):
    rng = np.random.default_rng(seed)
    boxes = [boxes_in(SIZE, n, rng) for n in (0, 3, 80, 1)]
    weights = [rng.random(len(of_frame)) for of_frame in boxes]
    together = bottom_up.grid_maps(boxes, weights, SIZE, "bilinear")
    for made, *alone in zip(together, boxes, weights, strict=True):
        assert made.tobytes() == grid_map(*alone, SIZE, "bilinear").tobytes()


def test_the_expected_mask_by_hand():
    left, whole = [0, 0, 16, 32], [0, 0, 32, 32]
    boxes, likely = np.array([left, whole], np.int16), np.array([0.5, 0.25])
    none = bottom_up.expected_mask(boxes, likely, 0, 32, "area")  # more than 0: not both left out
    assert none.tolist() == [[1 - 0.5 * 0.75, 0.25]] * 2
    one = bottom_up.expected_mask(boxes, likely, 1, 32, "area")  # more than 1: both
    assert one.tolist() == [[0.125, 0]] * 2


def test_the_expected_mask_is_the_mean_of_draws():
    rng = np.random.default_rng(0)
    boxes, likely = boxes_in(SIZE, 30, rng) // 16 * 16, rng.random(30)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 16)
    draws = [boxes[rng.random(30) < likely] for _ in range(4000)]
    counts = bottom_up.grid_maps(draws, [np.ones(len(draw)) for draw in draws], SIZE, "area")
    assert bottom_up.expected_mask(boxes, likely, 3, SIZE, "area") == pytest.approx((counts > 3).mean(axis=0), abs=0.04)
