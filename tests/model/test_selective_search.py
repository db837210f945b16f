from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from model.selective_search import MODES, search
from tests.samples import real


def scene(seed: int, height: int = 160, width: int = 160) -> np.ndarray:
    """A photograph's like: blotches, things with edges and texture, noise."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    for _ in range(6):
        colour, centre = rng.integers(0, 256, 3).tolist(), (rng.random(2) * (width, height)).astype(int).tolist()
        axes = (rng.uniform(0.08, 0.3, 2) * (width, height)).astype(int).tolist()
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    stripes = 25 * np.sin(np.arange(width) * rng.uniform(0.2, 1))[None, :, None]
    return np.clip(image + stripes + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)


def opencv(image: np.ndarray, mode: str) -> set[tuple[int, ...]]:
    theirs = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    theirs.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
    switch = {
        "single": theirs.switchToSingleStrategy,
        "fast": theirs.switchToSelectiveSearchFast,
        "quality": theirs.switchToSelectiveSearchQuality,
    }
    switch[mode]()
    return set(map(tuple, theirs.process().tolist()))


def boxes(image: np.ndarray, mode: str) -> set[tuple[int, ...]]:
    return set(map(tuple, search(image, mode).box.tolist()))


def shared(one: set, other: set) -> float:
    return len(one & other) / len(one | other)


@pytest.mark.parametrize("mode", ["single", "fast"])
def test_the_boxes_are_opencv_s(mode):
    same = [shared(boxes(scene(seed), mode), opencv(scene(seed), mode)) for seed in range(20)]
    assert np.mean([share == 1 for share in same]) >= 0.9  # what is left are ties
    assert min(same) >= 0.95


@pytest.mark.slow
def test_the_boxes_of_quality_are_opencv_s_but_for_ties():
    shares = [shared(boxes(scene(seed), "quality"), opencv(scene(seed), "quality")) for seed in range(4)]
    assert min(shares) >= 0.95  # things of one colour have many edges of the same weight; photographs do better


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 31), (48, 64), (100, 230), (333, 211)])
def test_any_size(height, width):
    image = scene(3, height, width)
    ours, theirs = boxes(image, "fast"), opencv(image, "fast")
    assert shared(ours, theirs) >= 0.95


def test_shapes_that_opencv_cannot_turn():
    for height, width in ((40, 400), (400, 40), (16, 1), (1, 16)):
        found = search(np.ascontiguousarray(scene(1, 400, 400)[:height, :width]), "fast").box
        assert len(found) >= 6
        assert (found[:, 0] + found[:, 2]).max() == width
        assert (found[:, 1] + found[:, 3]).max() == height


@pytest.mark.slow
def test_a_large_frame():
    image = scene(5, 1080, 1920)
    assert shared(boxes(image, "single"), opencv(image, "single")) >= 0.9


NOISE = np.random.default_rng(0).integers(0, 256, (64, 80, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 80, 3), 90, np.uint8),
        np.zeros((64, 80, 3), np.uint8),
        NOISE,
        np.repeat(NOISE[..., :1], 3, axis=2),
        np.repeat(scene(2)[..., :1], 3, axis=2),
        np.repeat(np.repeat(np.array([[0, 255]], np.uint8), 40, axis=1).repeat(64, axis=0)[..., None], 3, axis=2),
    ],
    ids=["grey", "black", "noise", "grey noise", "grey scene", "two tones"],
)
@pytest.mark.parametrize("mode", ["single", "fast"])
def test_images_with_little_to_see(image, mode):
    ours, theirs = boxes(image, mode), opencv(image, mode)
    assert shared(ours, theirs) >= 0.95


def test_regions_are_a_hierarchy_for_each_grouping():
    found = search(scene(0), "fast")
    spaces, ks, likenesses = MODES["fast"]
    assert found.grouping.max() + 1 == len(spaces) * len(ks) * len(likenesses)
    for grouping in range(found.grouping.max() + 1):
        level = found.level[found.grouping == grouping]
        first = int((level == 1).sum())
        assert len(level) == 2 * first - 1  # n segments that hang together are joined n - 1 times
        assert level[:first].tolist() == [1] * first
    whole = found.box[[np.flatnonzero(found.grouping == g)[-1] for g in range(12)]]
    assert whole.tolist() == [[0, 0, 160, 160]] * 12


def test_threads_do_not_disturb_each_other():
    images = [scene(seed) for seed in range(8)]
    alone = [search(image, "fast") for image in images]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda image: search(image, "fast"), images))
    for one, other in zip(alone, together, strict=True):
        assert one.box.tolist() == other.box.tolist()
        assert one.level.tolist() == other.level.tolist()


@pytest.mark.real
@pytest.mark.slow
def test_photographs():
    same = []
    for path in sorted((real("pairs") / "frames").glob("*.jpg"))[::26]:
        image = cv2.cvtColor(cv2.resize(cv2.imread(str(path)), (320, 320)), cv2.COLOR_BGR2RGB)
        same.append(shared(boxes(image, "fast"), opencv(image, "fast")))
    assert len(same) > 25
    assert np.mean([share == 1 for share in same]) >= 0.9
    assert min(same) >= 0.95
