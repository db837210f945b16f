import subprocess
import sys

import numpy as np
import pytest

from model.regions import UNKNOWN
from pipeline import propose
from pipeline.foundation import shards
from pipeline.foundation.params import Saliency
from pipeline.proposers import saliency
from tests.samples import ROOT


def bright_square(x: int, y: int, side: int, size: int = 160) -> np.ndarray:
    """A frame of noise with one red square."""
    frame = np.random.default_rng(0).normal(90, 6, (size, size, 3))
    frame[y : y + side, x : x + side] = (250, 40, 30)
    return np.clip(frame, 0, 255).astype(np.uint8)


def settings(engine: str = "fine_grained", levels: int = 9) -> Saliency:
    return Saliency(engine=engine, levels=levels)


def by_hand(frame: np.ndarray, level: float) -> set[tuple[int, int, int, int]]:
    """Boxes of the connected parts above a level, found by spreading from each pixel."""
    above = saliency.saliency_map(frame, "fine_grained") > np.float32(level)
    seen, found = np.zeros_like(above), set()
    for start in zip(*np.nonzero(above), strict=True):
        if seen[start]:
            continue
        part, todo = [], [start]
        seen[start] = True
        while todo:
            y, x = todo.pop()
            part.append((y, x))
            for near in ((y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                if min(near) >= 0 and max(near) < len(above) and above[near] and not seen[near]:
                    seen[near] = True
                    todo.append(near)
        ys, xs = np.array(part).T
        if len(part) >= 1e-3 * above.size:
            found.add((int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1))
    return found


def test_regions_are_the_boxes_of_connected_parts_above_each_level():
    frame = bright_square(30, 50, 40, 64)
    expected = set().union(*(by_hand(frame, level / 4) for level in (1, 2, 3)))
    found = saliency.regions(frame, settings(levels=3))
    assert {tuple(box) for box in found.box.tolist()} == expected
    assert len(found.box) == len(expected)


@pytest.mark.parametrize("engine", ["fine_grained", "spectral_residual"])
def test_a_region_s_score_is_the_mean_of_the_map_in_its_box_best_first(engine):
    frame = bright_square(30, 50, 40)
    made, found = saliency.saliency_map(frame, engine), saliency.regions(frame, settings(engine))
    assert (made.min() >= 0, made.max()) == (True, 1)
    expected = [made[y : y + h, x : x + w].mean(dtype=np.float64) for x, y, w, h in found.box.tolist()]
    assert found.score == pytest.approx(np.array(expected), abs=1e-6)
    assert (np.diff(found.score) <= 0).all()
    assert (found.box.dtype, found.score.dtype) == (np.int16, np.float32)
    assert set(found.level.tolist()) <= {UNKNOWN}


def test_what_stands_out_has_a_box_near_it():
    found = saliency.regions(bright_square(30, 50, 40), settings())
    x, y, w, h = found.box.T.astype(int)
    common = np.clip(np.minimum(x + w, 70) - np.maximum(x, 30), 0, None)
    common = common * np.clip(np.minimum(y + h, 90) - np.maximum(y, 50), 0, None)
    assert (common / (w * h + 1600 - common)).max() > 0.5


@pytest.mark.parametrize("engine", ["fine_grained", "spectral_residual"])
@pytest.mark.parametrize("value", [0, 200])
def test_a_plain_frame_has_no_region_or_one_within_it(engine, value):
    found = saliency.regions(np.full((64, 64, 3), value, np.uint8), settings(engine))
    assert np.isfinite(found.score).all()
    assert (found.box[:, :2] + found.box[:, 2:] <= 64).all()


def test_they_are_stored_as_a_detector_s_are(tmp_path):
    frames = np.stack([bright_square(30, 50, 40), np.zeros((160, 160, 3), np.uint8)])
    shards.write(tmp_path / "frames.h5", "extract", ["a", "b"], {"frame": frames})
    propose.propose_shard(tmp_path, tmp_path / "frames.h5", settings())
    stored = shards.Shard(tmp_path / "regions.h5")
    expected = saliency.regions(frames[0], settings())
    assert stored.read("a", "box").tolist() == expected.box.tolist()
    assert stored.read("a", "score").tolist() == expected.score.tolist()
    assert (stored.attributes["is_scored"], stored.attributes["size"]) == (1, 160)
    assert not {"level", "grouping"} & set(stored.names)


@pytest.mark.parametrize("module", ["extract", "propose", "attend", "train", "evaluate", "commands.check"])
def test_torchvision_is_imported_only_where_a_detector_is(module):
    code = f"import sys, pipeline.{module}; print({{'torchvision', 'pycocotools'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
