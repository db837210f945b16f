import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import extended


def counted(sure, located, negative, theta) -> tuple[float, float]:
    """Precision and recall at one threshold, clip by clip."""
    true = false = missed = 0
    for c, well, none in zip(sure, located, negative, strict=True):
        if none:
            false += c >= theta
        elif c < theta:
            missed += 1
        elif well:
            true += 1
        else:
            false += 1
    return (1.0 if true + false == 0 else true / (true + false)), (
        1.0 if true + missed == 0 else true / (true + missed)
    )


def literally(sure, located, negative) -> tuple[float, float]:
    """AP and max-F1 as SLAVC's evaluator defines them."""
    n = len(sure)
    thresholds = sorted(sure)[:-1][:: -max(1, n // 200)]
    points = [counted(sure, located, negative, theta) for theta in thresholds]
    area = 0.0
    for i in range(len(points) - 1):
        area += max(p for p, _ in points[i:]) * (points[i + 1][1] - points[i][1])
    f1 = []
    for theta in sorted(sure)[:: max(1, n // 10)]:
        p, r = counted(sure, located, negative, theta)
        f1.append(2 * p * r / (p + r) if p + r else 0.0)
    return area, max(f1)


@st.composite
def clips(draw):
    n = draw(st.integers(1, 450))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    sure = rng.random(n) if draw(st.booleans()) else rng.integers(0, 5, n) / 4
    return sure, rng.random(n) < draw(st.floats(0, 1)), rng.random(n) < draw(st.floats(0, 1))


@given(clips())
def test_the_definition_s_thresholds_give_what_counting_clip_by_clip_gives(found):
    detection = extended.at_steps(*found)
    area, f1 = literally(*found)
    assert detection.average_precision == pytest.approx(area, abs=1e-9)
    assert detection.max_f1 == pytest.approx(f1, abs=1e-9)


@given(clips())
def test_over_all_thresholds_nothing_is_missed(found):
    exact = extended.exact(*found)
    points = [counted(*found, theta) for theta in sorted(set(found[0].tolist()), reverse=True)]
    area = before = 0.0
    for i, (_, recall) in enumerate(points):
        area += max(p for p, _ in points[i:]) * (recall - before)
        before = recall
    assert exact.average_precision == pytest.approx(area, abs=1e-9)
    assert exact.max_f1 >= extended.at_steps(*found).max_f1 - 1e-12
    assert 0 <= exact.average_precision <= 1


def test_by_hand_with_a_negative_between_two_positives():
    sure = np.array([0.9, 0.8, 0.7])
    exact = extended.exact(sure, np.array([True, False, True]), np.array([False, True, False]))
    # theta .9: P 1, R 1/2; .8: P 1/2, R 1/2; .7: P 2/3, R 1
    assert exact.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert exact.max_f1 == pytest.approx(0.8)
    steps = extended.at_steps(sure, np.array([True, False, True]), np.array([False, True, False]))
    assert steps.average_precision == pytest.approx(0.5 * 2 / 3)  # without the largest: the first step is left out


def test_a_wrong_place_is_no_false_negative():
    precision, recall = extended.precision_recall(
        np.array([0.9]), np.array([False]), np.array([False]), np.array([0.5])
    )
    assert (precision[0], recall[0]) == (0, 1)  # nothing true, nothing missed


def test_confidence_is_the_mean_of_the_largest_quarter_of_the_fixed_range():
    maps = np.full((2, 224, 224), -1, np.float32)
    maps[0, :56] = 1  # a quarter
    maps[1, :28] = 1
    assert extended.confidence(maps) == pytest.approx([1, 0.5])
    alone = extended.confidence(np.random.default_rng(0).normal(size=(3, 7, 7)).astype(np.float32))
    assert alone[1] == extended.confidence(np.random.default_rng(0).normal(size=(3, 7, 7)).astype(np.float32)[1:2])[0]
