import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline import world
from pipeline.foundation import media
from pipeline.foundation.manifest import read_rows
from pipeline.foundation.params import Runtime, World
from pipeline.foundation.randomness import generator
from pipeline.worlds import looks, scenes, sounds

RUNTIME = Runtime(engine="joblib", workers=1, scheduler=None, device="cpu")


def many_scenes(n: int) -> list[scenes.Scene]:
    kinds = list(scenes.KINDS)
    return [scenes.draw_scene(kinds[i % len(kinds)], generator(0, "world", f"scene-{i}")) for i in range(n)]


@pytest.fixture(scope="module")
def many() -> list[scenes.Scene]:
    return many_scenes(300)


def heard_box(scene: scenes.Scene) -> np.ndarray:
    """Fractions of the frame: x, y, w, h."""
    height, width = scene.ground.shape[:2]
    return np.array(scene.things[scene.heard].box) / (width, height, width, height)


def test_the_heard_thing_covers_what_it_should(many):
    areas = np.array([heard_box(scene)[2:].prod() for scene in many])
    assert areas.min() >= 0.055
    assert areas.max() <= 0.52
    assert np.median(areas) == pytest.approx(0.22, abs=0.04)
    assert (areas >= 0.25).mean() >= 0.4  # so that half a frame can reach an IoU of a half: the oracle under lvs_top50


def test_the_heard_thing_is_not_centred_and_no_larger_or_nearer_than_others(many):
    centres = np.array([heard_box(scene)[:2] + heard_box(scene)[2:] / 2 for scene in many])
    assert np.hypot(*(centres - 0.5).T).mean() > 0.2
    assert centres.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.04)
    front = np.mean([scene.heard / (len(scene.things) - 1) for scene in many])
    assert front == pytest.approx(0.5, abs=0.06)
    others = [thing.box[2] * thing.box[3] for s in many for i, thing in enumerate(s.things) if i != s.heard]
    heard = [s.things[s.heard].box[2] * s.things[s.heard].box[3] for s in many]
    assert np.mean(heard) == pytest.approx(np.mean(others), rel=0.12)


def test_two_in_five_are_hard_and_show_a_second_kind_that_could_sound(many):
    assert np.mean([scene.hard for scene in many]) == pytest.approx(0.4, abs=0.08)
    for scene in many:
        kinds = [thing.kind for thing in scene.things if thing.kind in scenes.KINDS]
        assert len(kinds) == len(set(kinds)) == 1 + scene.hard
        assert len(scene.things) >= 2


def test_every_kind_has_its_own_look_and_voice_and_silent_things_share_neither():
    assert len(scenes.KINDS) >= 10
    assert len({kind.voice for kind in scenes.KINDS.values()}) == len(scenes.KINDS)
    seen = [(kind.look.shape, kind.look.texture) for kind in scenes.KINDS.values()]
    assert len({shape for shape, _ in seen}) == len({texture for _, texture in seen}) == len(seen)
    for look in scenes.SILENT.values():
        assert look.shape not in {shape for shape, _ in seen}
        assert look.texture not in {texture for _, texture in seen}


@pytest.mark.parametrize("shape", looks.SHAPES)
def test_a_sprite_fills_its_box_to_the_edges(shape):
    drawn = looks.sprite(looks.Look(shape, "plain", None), 60, 40, np.random.default_rng(0))
    assert drawn.shape == (40, 60, 4)
    for edge in (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]):
        assert edge[:, 3].max() > 0.2
    assert 0.2 < drawn[..., 3].mean() < 1
    assert drawn.min() >= 0
    assert drawn.max() <= 1.001


def test_things_move_a_little_and_stand_in_their_boxes_in_the_middle(many):
    scene = many[0]
    frames = [scene.frame(t).astype(int) for t in (0, 0.5, 0.9)]
    assert abs(frames[0] - frames[1]).mean() > 0.1
    mask = scene.mask(len(scene.things) - 1)  # the one in front
    x, y, w, h = scene.things[-1].box
    assert mask[y : y + h, x : x + w].sum() == mask.sum() > 0.2 * w * h


def test_the_mask_is_what_is_seen(many):
    for scene in many[:20]:
        masks = np.stack([scene.mask(i) for i in range(len(scene.things))])
        assert masks.sum(axis=0).max() == 1  # nothing is seen through another


@pytest.mark.parametrize("kind", scenes.KINDS)
def test_every_voice_is_heard_and_differs_from_clip_to_clip(kind):
    one, two = (sounds.clip_sound(scenes.KINDS[kind].voice, 1.0, np.random.default_rng(i)) for i in (0, 1))
    assert one.shape == (44_100, 2)
    assert one.dtype == np.float32
    assert 10 ** (-16 / 20) < np.abs(one).max() <= 1
    assert not np.array_equal(one, two)


def test_kinds_are_told_apart_by_their_spectra():
    def spectrum(kind: str, seed: int) -> np.ndarray:
        sound = sounds.clip_sound(scenes.KINDS[kind].voice, 2.0, np.random.default_rng(seed))[:, 0]
        power = np.abs(np.fft.rfft(sound)) ** 2
        bands = np.geomspace(1, len(power), 40).astype(int)
        return np.log(np.add.reduceat(power, bands[:-1]) + 1e-3)

    kinds = list(scenes.KINDS)
    means = {kind: np.mean([spectrum(kind, seed) for seed in range(6)], axis=0) for kind in kinds}
    right = [
        min(kinds, key=lambda k: np.linalg.norm(means[k] - spectrum(kind, seed))) == kind
        for kind in kinds
        for seed in range(100, 104)
    ]
    assert np.mean(right) > 0.8


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    settings = World(train=3, val=1, test=2, boxed=6, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        world.make_world(settings, folder / "made", RUNTIME)
        (folder / ".scratch" / "world").rename(folder / "once")
        world.make_world(settings, folder / "again", RUNTIME)
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_gives_the_same_bytes(made):
    assert bytes_of(made / "made") == bytes_of(made / "again")


def test_clips_are_real_videos_as_a_user_s_are(made):
    path = made / "made" / "media" / "train-0000.mp4"
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (audio.rate, audio.layout.name) == (44_100, "stereo")
        assert video.width != video.height
        assert container.duration / av.time_base == pytest.approx(3, abs=0.1)
        assert not container.metadata.get("creation_time")


def test_the_frame_in_the_middle_is_the_scene_s(made):
    scene = scenes.draw_scene("drum", generator(0, "world", "train-0000"))
    still = media.video_frame(made / "made" / "media" / "train-0000.mp4", 0.5, media.Limits(media.Budget(30), 1e6))
    assert np.abs(still.frame.astype(int) - scene.frame(0.5)).mean() < 6


def test_the_lists_name_every_clip_and_thing(made):
    clips = {row["clip_id"]: row for _, row in read_rows(made / "made" / "clips.csv", world.CLIP_COLUMNS)}
    assert Counter(row["split"] for row in clips.values()) == {"train": 3, "val": 1, "test": 2}
    boxes = [row for _, row in read_rows(made / "made" / "boxes.csv", world.BOX_COLUMNS)]
    for clip_id, row in clips.items():
        assert (made / "made" / row["media"]).is_file()
        (heard,) = [box for box in boxes if box["clip_id"] == clip_id and box["sounding"] == "1"]
        assert heard["label"] == row["label"]
        mask = np.asarray(Image.open(made / "made" / row["mask"]))
        height, width = mask.shape
        rows, columns = np.nonzero(mask)
        assert columns.min() >= float(heard["x0"]) * width - 1
        assert rows.max() <= float(heard["y1"]) * height + 1


def test_the_boxed_photographs_are_in_voc_s_layout(made):
    voc = made / "made" / "voc"
    names = {split: (voc / "ImageSets" / "Main" / f"{split}.txt").read_text().split() for split in ("train", "val")}
    assert len(names["train"]) == 4
    assert len(names["val"]) == 2
    for name in names["train"] + names["val"]:
        root = ET.parse(voc / "Annotations" / f"{name}.xml").getroot()
        with Image.open(voc / "JPEGImages" / f"{name}.jpg") as image:
            assert image.size == (int(root.findtext("size/width")), int(root.findtext("size/height")))
        assert len(root.findall("object")) >= 2
        for corner in root.iter("bndbox"):
            x0, y0, x1, y1 = (int(corner.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
            assert 1 <= x0 <= x1 <= image.size[0]
            assert 1 <= y0 <= y1 <= image.size[1]


def test_without_boxed_photographs_the_lists_are_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world.make_world(World(train=1, val=0, test=0, boxed=0, seed=0), tmp_path / "w", RUNTIME)
    assert (tmp_path / "w" / "voc" / "ImageSets" / "Main" / "train.txt").read_text() == ""
