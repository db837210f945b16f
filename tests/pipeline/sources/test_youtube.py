import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.youtube import clip_of, video_of

VIDEOS = st.text("ABCabc012-_", min_size=11, max_size=11)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("zpWuikVorYg_000032", "zpWuikVorYg_000032"),
        ("gklbB7TYoK4_30000_40000", "gklbB7TYoK4_000030"),
        ("gklbB7TYoK4_0_10000", "gklbB7TYoK4_000000"),
        ("00W1lcxW-WU_40.000", "00W1lcxW-WU_000040"),
        ("00W1lcxW-WU_40.500", "00W1lcxW-WU_000040.500"),
        ("BjCEufrlXm4_20_30", "BjCEufrlXm4_000020"),
        ("0CQnnJq9xn0", "0CQnnJq9xn0"),
        ("-ANxUxvGASw_000010", "-ANxUxvGASw_000010"),
        ("_a-_b-_c-_d_7", "_a-_b-_c-_d_000007"),
    ],
)
def test_every_form_of_a_name_is_one_clip(name, clip):
    assert clip_of(name) == clip
    assert video_of(clip) == name[:11]


@pytest.mark.parametrize("name", ["", "short", "zpWuikVorYg-000032", "zpWuikVorYg_x", "../WuikVorYg", "frame_00125"])
def test_other_names_are_no_clips(name):
    assert clip_of(name) is None


@given(VIDEOS, st.integers(0, 99_999))
def test_an_id_is_cut_by_position_whatever_stands_in_it(video, second):
    written = [f"{second:06d}", str(second), f"{second}.000", f"{second * 1000}_{second * 1000 + 10_000}"]
    assert {clip_of(f"{video}_{form}") for form in written} == {f"{video}_{second:06d}"}


@given(VIDEOS, st.integers(0, 99_999))
def test_a_clip_is_its_own_name(video, second):
    clip = clip_of(f"{video}_{second}")
    assert clip_of(clip) == clip
