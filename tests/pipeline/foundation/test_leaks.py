import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.foundation.errors import UserError
from pipeline.foundation.leaks import Leak, between, counts, read, settle
from pipeline.foundation.manifest import SPLITS

FOUND = {
    Leak("t", "test", "a", "train", "id"),
    Leak("t", "test", "b", "train", "video"),
    Leak("u", "test", "b", "train", "sound"),
    Leak("u", "test", "v", "val", "sound"),
    Leak("v", "val", "a", "train", "frame"),
}


def test_a_leak_stops_in_one_line_that_says_how_many_which_and_where(tmp_path):
    with pytest.raises(UserError) as caught:
        settle(FOUND, tmp_path, "videos", accepted=False)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith("videos: 3 clips in two splits at once, 1 by id, 1 by video, 1 by frame, 1 by sound:")
    assert "test t is train a (id); test t is train b (video); test u is train b (sound); ..." in message
    assert f"all of them: {tmp_path / 'leaks.csv'}" in message
    assert "source.accept_leaks: true" in message
    assert set(read(tmp_path)) == FOUND


def test_an_accepted_leak_is_warned_of(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        settle(FOUND, tmp_path, "videos", accepted=True)
    assert "videos: 3 clips in two splits at once" in caplog.text
    assert set(read(tmp_path)) == FOUND


def test_without_a_leak_the_list_is_there_and_empty(tmp_path):
    settle(set(), tmp_path, "videos", accepted=False)
    assert (tmp_path / "leaks.csv").read_text() == "clip_id,split,other_clip_id,other_split,by\n"


def test_what_is_counted_are_clips_of_the_evaluated_split(tmp_path):
    settle(FOUND, tmp_path, "videos", accepted=True)
    assert counts([tmp_path], ["t", "u", "w"], "test") == {"id": 1, "video": 1, "frame": 0, "sound": 1}
    assert counts([tmp_path], ["t"], "test") == {"id": 1, "video": 1, "frame": 0, "sound": 0}
    assert counts([tmp_path, tmp_path], ["v"], "val") == {"id": 0, "video": 0, "frame": 1, "sound": 0}
    assert counts([tmp_path], ["a", "b"], "train") == {"id": 0, "video": 0, "frame": 0, "sound": 0}


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from(SPLITS)))
def test_every_clip_that_leaks_is_named(clips):
    leaks = between("frame", clips.items())
    named = {leak.clip_id for leak in leaks} | {leak.other_clip_id for leak in leaks}
    assert named == (set(clips) if len(set(clips.values())) > 1 else set())
    assert len(leaks) <= 3 * len(clips)
    for leak in leaks:
        assert (clips[leak.clip_id], clips[leak.other_clip_id]) == (leak.split, leak.other_split)
        assert SPLITS.index(leak.split) > SPLITS.index(leak.other_split)
