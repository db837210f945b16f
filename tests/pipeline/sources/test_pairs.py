from pathlib import Path

import numpy as np
import pytest

from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Source
from pipeline.sources import pairs
from tests.samples import real

PAIRS = (
    "clip_id,split,frame,sound,class,hard,width,height\n"
    "a_dog,train,frames/a.jpg,sounds/x.ogg,dog,0,400,200\n"
    "b_dog,val,frames/b.jpg,sounds/y.ogg,dog,1,400,300\n"
    "b_cat,val,frames/b.jpg,sounds/x.ogg,cat,1,400,300\n"
)
BOXES = "clip_id,x0,y0,x1,y1,class,sounding\na_dog,100,50,200,200,dog,1\nb_dog,0,0,400,300,cat,0\n"


def source(root: Path) -> Source:
    return Source(
        name="pairs", root=str(root), watch=str(root), val_share=0.1, test_share=0.1, accept_leaks=False, seed=0
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("frames/a.jpg", "frames/b.jpg", "sounds/x.ogg", "sounds/y.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pairs.csv").write_text(PAIRS)
    (tmp_path / "boxes.csv").write_text(BOXES)
    scores = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    np.savez(tmp_path / "audio_scores.npz", paths=np.array(["sounds/x.ogg", "sounds/y.ogg"]), scores=scores)
    return tmp_path


def told(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        pairs.read(source(root))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_pairs_are_read_with_boxes_in_fractions_and_vectors(root):
    reading = pairs.read(source(root))
    (a,) = reading.splits["train"].clips
    assert (a.clip_id, a.frame, a.sound, a.label, a.hard, a.group) == (
        *("a_dog", "frames/a.jpg", "sounds/x.ogg", "dog", False, "frames/a.jpg"),
    )
    (box,) = reading.splits["train"].boxes
    assert (box.x0, box.y0, box.x1, box.y1, box.sounding) == (0.25, 0.25, 0.5, 1.0, True)
    assert [clip.hard for clip in reading.splits["val"].clips] == [True, True]
    assert reading.vectors["b_dog"].tolist() == pytest.approx([0.3, 0.4])


def test_without_an_archive_there_are_no_vectors(root):
    (root / "audio_scores.npz").unlink()
    assert pairs.read(source(root)).vectors is None


def test_a_missing_file_stays_in_its_split(root):
    (root / "frames" / "a.jpg").unlink()
    assert [clip.clip_id for clip in pairs.read(source(root)).splits["train"].clips] == ["a_dog"]


def test_wrong_files_are_told_in_one_line(root):
    (root / "pairs.csv").write_text(PAIRS.replace(",400,200", ",0,200"))
    assert "pairs.csv:2: width 0 and height 200 are no size" in told(root)
    (root / "pairs.csv").write_text(PAIRS.replace("hard", "difficult"))
    assert "pairs.csv: no column hard" in told(root)
    (root / "pairs.csv").write_text(PAIRS)
    (root / "boxes.csv").write_text(BOXES.replace("100,50,200,200", "100,50,500,200"))
    assert "boxes.csv:2: box x0=0.25 y0=0.25 x1=1.25" in told(root)
    (root / "boxes.csv").write_text(BOXES.replace("a_dog", "c_dog"))
    assert "boxes.csv:2: box of clip 'c_dog', which is not in pairs.csv" in told(root)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"paths": np.array(["x"])}, "not an archive with paths and scores"),
        ({"paths": np.array(["x"]), "scores": np.zeros((2, 3))}, "accepted: one finite vector a path"),
        (
            {"paths": np.array(["sounds/x.ogg"]), "scores": np.zeros((1, 3))},
            "no vector for 1 sounds, among them sounds/y",
        ),
        ({"paths": np.array([{}], object), "scores": np.zeros((1, 3))}, "not an archive with paths and scores"),
    ],
)
def test_a_wrong_archive_is_told_in_one_line(root, arrays, line):
    np.savez(root / "audio_scores.npz", **arrays)
    assert line in told(root)


def test_an_archive_that_is_none_is_told(root):
    (root / "audio_scores.npz").write_bytes(b"PK no zip")
    assert "not an archive" in told(root)


@pytest.mark.real
def test_the_real_pairs_are_read_whole():
    reading = pairs.read(source(real("pairs")))
    train, val = reading.splits["train"], reading.splits["val"]
    assert (len(train.clips), len(val.clips), len(reading.rejections)) == (542, 288, 0)
    assert sum(clip.hard for clip in val.clips) == 92
    assert {vector.shape for vector in reading.vectors.values()} == {(521,)}
