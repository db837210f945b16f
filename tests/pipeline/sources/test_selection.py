from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import source
from pipeline.foundation import manifest
from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SPLITS, Box, Clip, Manifest, Rejection
from pipeline.sources import folder, vggss
from pipeline.sources.reading import Reading, split_up
from pipeline.sources.selection import select
from tests.samples import source_of


def reading_of(clips: dict[str, str], **more) -> Reading:
    """A reading of one film a clip, each in a split."""
    listed = [
        ("here", split, Clip(name, media=f"v/{name}.mp4", group=name, label="x")) for name, split in clips.items()
    ]
    boxes = [("here", Box(name, "", 0, 0, 0.5, 0.5)) for name in clips]
    return Reading(split_up(listed, boxes), **more)


def splits_of(reading: Reading) -> dict[str, set[str]]:
    return {split: {clip.clip_id for clip in part.clips} for split, part in reading.splits.items()}


def selected(tmp_path: Path, reading: Reading, lists: dict[str, str] | None = None, **changes) -> Reading:
    """Apply lists, each given by its lines."""
    for name, text in (lists or {}).items():
        (tmp_path / f"{name}.txt").write_text(text)
    named = {name: f"{name}.txt" for name in lists or {}}
    return select(reading, source_of(tmp_path, **{"val_share": 0.0, **named, **changes}))


DATA = {"a": "train", "b": "train", "c": "val", "d": "test", "e": "test"}


def test_without_a_list_nothing_changes(tmp_path):
    before = reading_of(DATA)
    assert selected(tmp_path, before) == before


def test_a_test_list_comes_before_the_data_set_s_own_split(tmp_path):
    after = selected(tmp_path, reading_of(DATA), {"test_list": "a.wav\nd\n"})
    assert splits_of(after) == {"train": {"b"}, "val": {"c"}, "test": {"a", "d"}}  # e is tested on by others
    assert {box.clip_id for box in after.splits["test"].boxes} == {"a", "d"}
    assert after.listed == {"test": ["a", "d"]}


def test_the_data_set_s_own_test_comes_before_a_train_list(tmp_path, caplog):
    after = selected(tmp_path, reading_of(DATA), {"train_list": "a\nc\nd\n"})
    assert splits_of(after) == {"train": {"a"}, "val": {"c"}, "test": {"d", "e"}}
    assert "1 clips of train_list are tested on, and so not trained on" in caplog.text
    assert after.listed == {"train": ["a", "c", "d"]}  # as they are named: the leak check sees d


def test_with_both_lists_train_is_what_is_left_of_its_list(tmp_path):
    lists = {"train_list": "a\nd\ne\n", "test_list": "d\nb\n"}
    after = selected(tmp_path, reading_of(DATA), lists)
    assert splits_of(after) == {"train": {"a", "e"}, "val": set(), "test": {"b", "d"}}


def test_val_is_a_share_of_what_a_list_names_by_group(tmp_path):
    for i in range(200):
        (tmp_path / f"{i}.mp4").touch()
    (tmp_path / "train.txt").write_text("\n".join(map(str, range(150))))
    (tmp_path / "test.txt").write_text("\n".join(map(str, range(100, 200))))
    settings = source_of(tmp_path, train_list="train.txt", test_list="test.txt", val_share=0.3, test_share=0.5)
    splits = splits_of(select(folder.read(settings), settings))
    assert splits["test"] == {f"{i}.mp4" for i in range(100, 200)}
    assert splits["train"] | splits["val"] == {f"{i}.mp4" for i in range(100)}
    assert len(splits["val"]) == pytest.approx(30, abs=12)


def test_what_a_list_names_and_is_not_there_is_missing_by_name(tmp_path, caplog):
    damaged = Rejection("f", "v/f.mat", "not a MATLAB file")
    box = Rejection("d", "v/d.xml", "the clip is kept without box 1")
    before = reading_of(DATA, rejections=[damaged, box])
    with caplog.at_level("INFO"):
        after = selected(tmp_path, before, {"test_list": "d\nf\n../../zz.wav\n", "train_list": "a\nq\n"})
    absent = "named as {} in {}, and no clip below the root is called so"
    assert after.splits["test"].missing == (
        damaged,
        Rejection("zz", "test_list.txt", absent.format("'../../zz.wav'", "test_list")),
    )
    assert after.splits["train"].missing == (Rejection("q", "train_list.txt", absent.format("'q'", "train_list")),)
    assert after.rejections == [box]
    assert "test_list names 3: 1 present, 1 missing, 1 unreadable" in caplog.text


def test_missing_clips_are_written_and_counted_in_their_split(tmp_path):
    (tmp_path / "root").mkdir()
    after = selected(tmp_path / "root", reading_of(DATA), {"test_list": "d\nq\n"})
    source.write(after, source_of(tmp_path / "root"), tmp_path / "out", tmp_path / "order.csv")
    test = manifest.read(tmp_path / "out" / "test")
    assert [clip.clip_id for clip in test.clips] == ["d"]
    assert [rejection.clip_id for rejection in test.missing] == ["q"]
    assert [rejection.clip_id for rejection in manifest.read_rejected(tmp_path / "out")] == ["q"]
    assert not (tmp_path / "out" / "train" / "missing.csv").exists()


def test_a_list_of_which_nothing_is_there_is_told(tmp_path):
    with pytest.raises(
        UserError, match=r"none of its 2 ids is a clip of .*, the first one is 'x'; name another source.test_list"
    ):
        selected(tmp_path, reading_of(DATA), {"test_list": "x\ny\n"})


def test_an_absolute_list_may_lie_anywhere(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "test.txt").write_text("a\n")
    after = select(reading_of(DATA), source_of(tmp_path / "root", test_list=str(tmp_path / "test.txt")))
    assert splits_of(after)["test"] == {"a"}


def test_a_path_is_more_exact_than_a_name(tmp_path):
    for name in ("x/a.mp4", "y/a.mp4", "y/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def tested(line: str) -> set[str]:
        (tmp_path / "test.txt").write_text(line)
        settings = source_of(tmp_path, test_list="test.txt")
        return {clip.media for clip in select(folder.read(settings), settings).splits["test"].clips}

    assert tested("x/a.mp4") == tested("x/a") == {"x/a.mp4"}
    assert tested("z/a.wav") == {"x/a.mp4", "y/a.mp4"}


def test_a_video_without_its_second_names_all_its_clips_and_is_named_by_any(tmp_path):
    names = ("zpWuikVorYg_000032", "zpWuikVorYg_000050", "0CQnnJq9xn0", "-CQnnJq9xn0_000001")
    clips = {vggss.clip_id_of(name): "train" for name in names}
    before = reading_of(clips, form=vggss.FORM, ids={vggss.clip_id_of(name): name for name in names})

    def tested(line: str) -> set[str]:
        return splits_of(selected(tmp_path, before, {"test_list": line}))["test"]

    assert tested("zpWuikVorYg_32000_42000") == {"zpWuikVorYg_000032"}
    assert tested("zpWuikVorYg") == {"zpWuikVorYg_000032", "zpWuikVorYg_000050"}
    assert tested("0CQnnJq9xn0_000007") == {"0CQnnJq9xn0"}
    assert tested("-CQnnJq9xn0_1") == {"_-CQnnJq9xn0_000001"}


@given(
    n=st.integers(1, 40),
    counts=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 99),
    order=st.randoms(use_true_random=False),
)
def test_a_count_draws_the_same_clips_in_any_order_and_few_among_many(n, counts, seed, order):
    few, many = sorted(min(count, n) for count in counts)
    names = [f"c{i}" for i in range(n)]

    def drawn(names: list[str], count: int) -> set[str]:
        settings = source_of(Path("r"), train_clips=count, seed=seed)
        return splits_of(select(reading_of(dict.fromkeys(names, "train")), settings))["train"]

    kept = drawn(names, many)
    order.shuffle(names)
    assert drawn(names, many) == kept
    assert len(kept) == many
    assert drawn(names, few) <= kept


def test_a_draw_follows_the_seed_and_leaves_val_alone(tmp_path):
    before = reading_of({**{f"c{i}": "train" for i in range(50)}, "v": "val", "t": "test", "u": "test"})
    draws = [splits_of(selected(tmp_path, before, train_clips=25, seed=seed)) for seed in (0, 1)]
    assert draws[0]["train"] != draws[1]["train"]
    assert all(draw["val"] == {"v"} and draw["test"] == {"t", "u"} for draw in draws)
    assert len(splits_of(selected(tmp_path, before, test_clips=1))["test"]) == 1


def test_a_count_of_more_than_there_is_is_told(tmp_path):
    with pytest.raises(UserError, match=r"source.test_clips: got 3, but test has 2 clips; set it to no more"):
        selected(tmp_path, reading_of(DATA), test_clips=3)


SILENT = "video,audio,label\nd,e,non-sounding\na,a,non-sounding\ne,b,non-sounding\nd,q,non-sounding\n"


def test_a_silent_list_adds_frames_with_sounds_that_are_not_in_sight(tmp_path):
    after = selected(tmp_path, reading_of(DATA), {"silent_list": SILENT})
    assert splits_of(after) == {
        "train": set(),  # a and b are tested on now
        "val": {"c"},
        "test": {"d", "e", "d--e", "a--a", "e--b"},
    }
    clips = {clip.clip_id: clip for clip in after.splits["test"].clips}
    assert clips["d--e"] == Clip("d--e", media="v/d.mp4", sound="v/e.mp4", group="d", negative=True)
    assert clips["a--a"] == Clip("a--a", media="v/a.mp4", group="a", negative=True)
    assert {box.clip_id for box in after.splits["test"].boxes} == {"d", "e"}
    (absent,) = after.splits["test"].missing
    assert (absent.clip_id, absent.reason) == ("d--q", "named in silent_list, and its sound is not there")
    assert after.listed == {"test": ["d", "e", "a", "b", "q"]}


def test_a_silent_clip_takes_the_frame_s_second_of_one_and_the_sound_of_the_other(tmp_path):
    clips = (
        Clip("a", media="a.mp4", group="g", frame_s=5.0, mask="a.png", label="dog", hard=True),
        Clip("b", frame="b.jpg", sound="b.wav", group="h", sound_s=2.0),
    )
    empty = Manifest((), ())
    vectors = {"a": np.zeros(3, np.float32), "b": np.ones(3, np.float32)}
    before = Reading({"train": empty, "val": empty, "test": Manifest(clips, ())}, vectors=vectors)
    after = selected(tmp_path, before, {"silent_list": "a,b,non-sounding\nb,a,non-sounding\n"})
    found = {clip.clip_id: clip for clip in after.splits["test"].clips}
    assert found["a--b"] == Clip(
        "a--b", media="a.mp4", sound="b.wav", group="g", frame_s=5.0, sound_s=2.0, negative=True
    )
    assert found["b--a"] == Clip("b--a", frame="b.jpg", sound="a.mp4", group="h", negative=True)
    assert after.vectors["a--b"].tolist() == [1, 1, 1]


def test_long_ids_of_silent_clips_stay_safe_and_distinct(tmp_path):
    names = ["x" * 100 + ending for ending in "12"] + ["y"]
    before = reading_of(dict.fromkeys(names, "test"))
    rows = "".join(f"{name},{other},non-sounding\n" for name in names for other in names)
    after = selected(tmp_path, before, {"silent_list": rows})
    ids = [clip.clip_id for clip in after.splits["test"].clips if clip.negative]
    assert len(set(ids)) == 9
    assert all(manifest.SAFE_ID.fullmatch(clip_id) for clip_id in ids)


def test_a_count_of_test_clips_draws_as_many_of_the_silent_list(tmp_path):
    names = [f"c{i}" for i in range(9)]
    rows = "".join(f"{name},{other},non-sounding\n" for name in names for other in names)
    after = selected(tmp_path, reading_of(dict.fromkeys(names, "test")), {"silent_list": rows}, test_clips=4)
    assert sorted(clip.negative for clip in after.splits["test"].clips) == [False] * 4 + [True] * 4


def test_every_split_stays_whole_and_ordered(tmp_path):
    after = selected(tmp_path, reading_of(DATA), {"test_list": "e\na\n", "silent_list": SILENT})
    for split in SPLITS:
        ids = [clip.clip_id for clip in after.splits[split].clips]
        assert ids == sorted(set(ids))
