from hypothesis import given
from hypothesis import strategies as st

from pipeline.foundation.randomness import fraction, generator, whole


def test_numbers_follow_from_seed_purpose_and_names_alone():
    assert generator(0, "a", "clip").random() == generator(0, "a", "clip").random()
    several = {generator(s, p, n).random() for s in (0, 1) for p in ("a", "b") for n in ("x", "y")}
    assert len(several) == 8


def test_names_do_not_run_into_each_other():
    assert fraction(0, "a", "bc", "d") != fraction(0, "a", "b", "cd")


def test_the_same_on_any_machine():
    assert fraction(0, "split", "clip") == 0.24640498673676964
    assert whole(0, "selective search", "clip") == 121320946


@given(st.integers(0, 10**6), st.text())
def test_ranges(seed, name):
    assert 0 <= fraction(seed, "x", name) < 1
    assert 0 <= whole(seed, "x", name) < 2**31
