import cv2
import numpy as np
import pytest

from model.graph_segmentation import MIN_SIZE, _sorted, segment


def test_two_halves_are_two_segments_numbered_as_met():
    image = np.zeros((40, 40, 1), np.uint8)
    image[:, 20:] = 200
    fine, coarse = segment(image, (150, 300))
    assert coarse.tolist() == [[0, 1], [0, 1]]
    assert (fine[:, :15] == 0).all()
    assert (fine[:, 25:] == 1).all()


def test_a_constant_image_is_one_segment():
    fine, coarse = segment(np.full((30, 50, 3), 77, np.uint8), (150, 300, 450))
    assert not fine.any()
    assert coarse.tolist() == [[0], [0], [0]]


@pytest.mark.parametrize("seed", range(3))
def test_no_segment_is_smaller_than_the_least_size(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (60, 70, 3)).astype(np.uint8)
    fine, coarse = segment(noise, (10, 150))
    for of_scale in coarse:
        assert np.bincount(of_scale[fine].ravel()).min() >= MIN_SIZE


@pytest.mark.parametrize("seed", range(5))
def test_it_is_opencv_s_segmentation_at_every_scale(seed):
    """Blotches without edges of equal weight: then no order is left open."""
    rng = np.random.default_rng(seed)
    blotches = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    image = np.clip(blotches + rng.normal(0, 6, blotches.shape), 0, 255).astype(np.uint8)
    fine, coarse = segment(image, (150, 300, 450))
    for of_scale, k in zip(coarse, (150, 300, 450), strict=True):
        theirs = cv2.ximgproc.segmentation.createGraphSegmentation(0.8, k, MIN_SIZE).processImage(image)
        pairs = np.unique(np.stack([of_scale[fine].ravel(), theirs.ravel()]), axis=1)
        assert pairs.shape[1] == of_scale.max() + 1 == theirs.max() + 1  # the same partition


def test_pieces_are_what_no_scale_divides():
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (90, 90, 3)).astype(np.uint8), (0, 0), 4)
    fine, coarse = segment(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX), (20, 150, 450))
    assert len(np.unique(coarse, axis=1).T) == coarse.shape[1] == fine.max() + 1
    first = np.unique(fine, return_index=True)[1]
    assert (np.diff(first) > 0).all()  # numbered as met


@pytest.mark.parametrize(
    "weights",
    [
        np.random.default_rng(0).uniform(0, 441, 5000),
        np.random.default_rng(1).integers(0, 40, 5000),  # many equal
        10.0 ** np.random.default_rng(2).uniform(-30, 2.6, 500),  # also below what is told apart by radix
        np.zeros(10),
        np.sqrt(np.arange(5000, 0, -1)),
        100 + np.random.default_rng(3).integers(0, 9, 3000) * 2.0**-16,  # differ in the last bits alone
    ],
    ids=["even", "equal", "tiny", "none", "falling", "last bits"],
)
def test_edges_are_sorted_as_a_stable_sort_does(weights):
    weights = weights.astype(np.float32)
    found, edges = _sorted(weights, np.arange(len(weights), dtype=np.int32))
    assert edges.tolist() == np.argsort(weights, kind="stable").tolist()
    assert found.tolist() == np.sort(weights).tolist()
