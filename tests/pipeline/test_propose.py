import subprocess
import sys

import numpy as np
import pytest

from model.regions import UNKNOWN
from pipeline import propose
from pipeline.foundation import shards
from pipeline.foundation.params import SelectiveSearch
from pipeline.proposers import selective_search
from tests.samples import ROOT

FAST = SelectiveSearch(engine="opencv", mode="fast")


def photograph(seed: int, size: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (size // 16, size // 16, 3))
    return np.clip(np.kron(blocks, np.ones((16, 16, 1))) + rng.normal(0, 5, (size, size, 3)), 0, 255).astype(np.uint8)


def test_regions_are_boxes_in_the_frame():
    found = selective_search.regions(photograph(0), FAST, seed=1)
    box = found.box
    assert box.dtype == np.int16
    assert len(box) > 5
    assert (box[:, :2] >= 0).all()
    assert (box[:, 2:] > 0).all()
    assert (box[:, :2] + box[:, 2:] <= 64).all()
    assert len(np.unique(box, axis=0)) == len(box)
    assert set(found.level.tolist()) == {UNKNOWN}


@pytest.mark.parametrize("mode", ["single", "fast", "quality"])
def test_the_order_follows_from_the_seed_and_not_from_what_came_before(mode):
    settings = SelectiveSearch(engine="opencv", mode=mode)
    first = selective_search.regions(photograph(0), settings, seed=1).box.tolist()
    selective_search.regions(photograph(1), settings, seed=5)
    assert selective_search.regions(photograph(0), settings, seed=1).box.tolist() == first
    other = selective_search.regions(photograph(0), settings, seed=2).box.tolist()
    assert sorted(other) == sorted(first)
    if mode != "single":
        assert other != first


@pytest.mark.parametrize("size", [32, 48, 160])
def test_plain_frames_have_a_region_too(size):
    for frame in (np.zeros((size, size, 3), np.uint8), np.full((size, size, 3), 200, np.uint8)):
        assert len(selective_search.regions(frame, FAST, seed=0).box) >= 1


def test_a_clip_s_regions_are_the_same_alone_and_in_company(tmp_path):
    frames = np.stack([photograph(i) for i in range(3)])
    shards.write(tmp_path / "all.h5", "extract", ["a", "b", "c"], {"frame": frames})
    shards.write(tmp_path / "one.h5", "extract", ["b"], {"frame": frames[1:2]})
    for name in ("all", "one"):
        (tmp_path / name).mkdir()
        propose.propose_shard(tmp_path / name, tmp_path / f"{name}.h5", FAST)
    company, alone = (shards.Shard(tmp_path / name / "regions.h5") for name in ("all", "one"))
    assert company.read("b", "box").tolist() == alone.read("b", "box").tolist()
    assert company.attributes["size"] == 64


@pytest.mark.slow
def test_the_regions_have_the_same_bytes_with_one_and_two_workers(prepared):
    before = prepared.bytes_of("data/regions")
    for workers in (2, 1):
        prepared.run("python", "-c", "import shutil; shutil.rmtree('.scratch/propose')")
        prepared.set({"runtime": {"workers": workers}})
        prepared.stage("propose", "selective_search")
        assert prepared.bytes_of("data/regions") == before


@pytest.mark.parametrize("module", ["pipeline.extract", "pipeline.propose", "pipeline.attend", "pipeline.listen"])
def test_preparation_starts_without_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("module", ["pipeline.train", "pipeline.evaluate"])
def test_training_starts_without_what_it_does_not_need(module):
    heavy = "{'cv2', 'av', 'librosa', 'dask', 'dvc', 'soundfile'}"
    code = f"import sys, {module}; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
