import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.foundation.leaks import Leak
from pipeline.foundation.manifest import Clip, Manifest
from pipeline.sources import flickr_soundnet, vggss
from pipeline.sources.leaks import of_reading, shared
from pipeline.sources.reading import Reading
from tests.samples import real

EZ_VSL, ATT = "stoneMo__EZ-VSL/metadata", "ardasnck__learning_to_localize_sound_source"
FLICKR_TEST = "kaistmm__SSLalignment/metadata/test_flickr_250.txt"
VGGSS_TEST = "hche11__Localizing-Visual-Sounds-the-Hard-Way/metadata/vggss_test.csv"


def listed(path: Path) -> list[str]:
    """The ids of a list, without endings and further columns."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        return [line.split(",")[0].split(".")[0].strip() for line in file if line.strip()]


@pytest.mark.real
@pytest.mark.parametrize(
    ("train", "test", "form", "ids", "videos"),
    [
        (f"{EZ_VSL}/flickr_10k.txt.gz", FLICKR_TEST, flickr_soundnet.FORM, 1, 0),
        (f"{EZ_VSL}/flickr_144k.txt.gz", FLICKR_TEST, flickr_soundnet.FORM, 20, 0),
        (f"{ATT}/Flickr_train_144k.txt.gz", FLICKR_TEST, flickr_soundnet.FORM, 0, 0),
        ("stoneMo__SLAVC/metadata/flickr_sup_train.txt", FLICKR_TEST, flickr_soundnet.FORM, 0, 0),
        (f"{EZ_VSL}/vggss_10k.txt.gz", VGGSS_TEST, vggss.FORM, 238, 240),
        (f"{EZ_VSL}/vggss_144k.txt.gz", VGGSS_TEST, vggss.FORM, 3709, 3655),
        (f"{EZ_VSL}/vggss_heard.txt.gz", VGGSS_TEST, vggss.FORM, 0, 1),
    ],
)
def test_the_lists_of_the_field_share_as_many_ids_as_was_counted(train, test, form, ids, videos):
    annotations = real("annotations")
    found = shared(listed(annotations / train), listed(annotations / test), form)
    assert (len(found.ids), len(found.videos)) == (ids, videos)


def test_a_video_is_shared_also_from_another_second_and_whatever_its_letters():
    found = shared(
        ["-_aaaaaaaa-_000010", "bbbbbbbbbbb_000001"], ["-_aaaaaaaa-_000020", "bbbbbbbbbbb_000001"], vggss.FORM
    )
    assert found.ids == ("bbbbbbbbbbb_000001",)
    assert found.videos == ("-_aaaaaaaa-", "bbbbbbbbbbb")


@given(st.sets(st.text("ab_-", min_size=11, max_size=13)), st.sets(st.text("ab_-", min_size=11, max_size=13)))
def test_what_is_shared_is_shared_in_either_direction(one, other):
    assert shared(one, other, vggss.FORM) == shared(other, one, vggss.FORM)
    assert shared(one, other, flickr_soundnet.FORM).ids == tuple(sorted(item for item in one if item in other))


def reading(**clips: list[tuple[str, str]]) -> Reading:
    """A data set of (clip_id, group) by split."""
    splits = {split: Manifest((), ()) for split in ("train", "val", "test")}
    for split, pairs in clips.items():
        splits[split] = Manifest(tuple(Clip(name, media="a.mp4", group=group) for name, group in pairs), ())
    return Reading(splits)


def test_a_group_in_two_splits_is_a_leak_of_the_later_one():
    found = of_reading(reading(train=[("a", "g"), ("b", "g"), ("c", "h")], test=[("d", "g"), ("e", "i")]))
    assert found == {Leak("d", "test", "a", "train", "video"), Leak("d", "test", "b", "train", "video")}


def test_every_two_splits_are_compared():
    found = of_reading(reading(train=[("a", "g")], val=[("b", "g")], test=[("c", "g")]))
    assert {(leak.split, leak.other_split) for leak in found} == {("val", "train"), ("test", "train"), ("test", "val")}


def test_a_group_within_one_split_is_none():
    assert of_reading(reading(train=[("a", "g"), ("b", "g")], test=[("c", "h")])) == set()


def test_ids_in_two_lists_are_leaks_and_so_are_videos():
    lists = {
        "train": ["aaaaaaaaaaa_000001", "bbbbbbbbbbb_000001"],
        "test": ["aaaaaaaaaaa_000001", "bbbbbbbbbbb_000009"],
    }
    found = of_reading(Reading(reading().splits, form=vggss.FORM, listed=lists))
    assert {(leak.clip_id, leak.other_clip_id, leak.by) for leak in found} == {
        ("aaaaaaaaaaa_000001", "aaaaaaaaaaa_000001", "id"),
        ("aaaaaaaaaaa_000001", "aaaaaaaaaaa_000001", "video"),
        ("bbbbbbbbbbb_000009", "bbbbbbbbbbb_000001", "video"),
    }
    assert {leak.by for leak in of_reading(Reading(reading().splits, listed=lists))} == {"id"}
