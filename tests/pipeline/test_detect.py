import numpy as np
import pytest
import torch

from model import detection
from pipeline import detect
from pipeline.foundation import detectors, shards
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Runtime
from pipeline.proposers import faster_rcnn
from tests import voc

RUNTIME = Runtime(engine="joblib", workers=1, scheduler=None, device="cpu")
CPU = torch.device("cpu")


@pytest.fixture
def detector(in_tmp):
    """The folder of an untrained detector."""
    torch.manual_seed(0)
    card = detectors.Card(
        voc.settings(in_tmp).model_dump(exclude={"root"}), ["blue", "red"], "same", False, 8, "cpu", "float32"
    )
    (in_tmp / "detector").mkdir()
    detectors.save(in_tmp / "detector", detection.build("small", 2, 64), card)
    return in_tmp / "detector"


def write_frames(folder, n: int, name: str = "shard-00000.h5") -> np.ndarray:
    frames = np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), np.uint8)
    folder.mkdir(exist_ok=True)
    shards.write(folder / name, "extract", [f"c{i}" for i in range(n)], {"frame": frames})
    return frames


def test_every_box_of_every_frame_is_stored_with_its_score_and_class_before_any_threshold(in_tmp, detector):
    frames = write_frames(in_tmp / "frames", 6)
    detect.detect(detector, in_tmp / "frames", in_tmp / "regions", RUNTIME)
    stored = shards.Shard(in_tmp / "regions/shard-00000.h5")
    assert (stored.attributes["size"], stored.attributes["is_scored"]) == (64, 1)
    model = faster_rcnn.load(detector, CPU)
    for i in range(6):
        box, score, label = (stored.read(f"c{i}", name) for name in ("box", "score", "label"))
        (alone,) = faster_rcnn.regions(frames[i : i + 1], model, CPU)
        assert len(box) == len(score) == len(label) == len(alone.box) > 50
        assert score == pytest.approx(alone.score, abs=1e-5)
        assert (np.diff(score) <= 0).all()
        assert score.min() < 0.5
        assert (box[:, :2] >= 0).all()
        assert (box[:, 2:] >= 1).all()
        assert (box[:, :2] + box[:, 2:] <= 64).all()
        assert (box.dtype, score.dtype, label.dtype) == (np.int16, np.float32, np.int16)


def test_corners_become_whole_pixels_and_nothing_vanishes():
    corners = np.array([[0, 0, 64, 64], [1.4, 1.6, 10.4, 10.6], [5.1, 5.2, 5.3, 5.4], [63.9, 63.9, 64, 64]])
    assert faster_rcnn.whole_pixels(corners, 64).tolist() == [
        [0, 0, 64, 64],
        [1, 2, 9, 9],
        [5, 5, 1, 1],
        [63, 63, 1, 1],
    ]


def test_a_shard_without_clips_stays_one(in_tmp, detector):
    shards.write(in_tmp / "frames.h5", "extract", [], {"frame": np.zeros((0, 64, 64, 3), np.uint8)})
    assert detect.detect_shard(in_tmp, in_tmp / "frames.h5", detector, CPU) == 0
    assert shards.Shard(in_tmp / "regions.h5").clip_ids == []


def test_a_folder_that_holds_no_detector_is_told(in_tmp, detector):
    (detector / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"detector: no readable detector .*run `dvc repro detector`"):
        detect.detect(detector, in_tmp, in_tmp / "regions", RUNTIME)
    (detector / "model.json").unlink()
    with pytest.raises(UserError, match="no readable detector"):
        detectors.load(detector)
