import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.standard_sort import STACK, sort_pairs

PROGRAM = """
#include <algorithm>
#include <cstdio>
#include <vector>
struct Pair { float key; int place; bool operator<(const Pair& other) const { return key < other.key; } };
int main() {
  std::vector<Pair> pairs;
  for (Pair p{0, 0}; std::scanf("%f", &p.key) == 1; p.place++) pairs.push_back(p);
  std::sort(pairs.begin(), pairs.end());
  for (const Pair& p : pairs) std::printf("%d\\n", p.place);
}
"""


def places_after(keys: np.ndarray) -> list[int]:
    """Where each key, once sorted, stood before; the keys must then be in order."""
    n = len(keys)
    sorted_keys, pairs = keys.copy(), np.stack([np.arange(n), -np.arange(n)], axis=1).astype(np.int32)
    sort_pairs(sorted_keys, pairs, n, np.empty((STACK, 3), np.int64))
    assert sorted_keys.tolist() == sorted(keys.tolist())
    assert keys[pairs[:, 0]].tolist() == sorted_keys.tolist()
    assert (pairs[:, 1] == -pairs[:, 0]).all()  # both ends of a pair move together
    return pairs[:, 0].tolist()


def killer(n: int) -> np.ndarray:
    """Keys that make the median of three split as unevenly as can be (Musser, 1997): all splits are used up."""
    half = n // 2
    keys = np.zeros(n, np.float32)
    for i in range(1, half + 1):
        if i % 2:
            keys[i - 1], keys[i] = i, half + i
        keys[half + i - 1] = 2 * i
    return keys


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), max_size=400))
def test_keys_are_sorted_and_pairs_go_with_them(keys):
    places_after(np.array(keys, np.float32))


@pytest.fixture(scope="module")
def of_the_library(tmp_path_factory):
    """std::sort itself, where a compiler is at hand."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ here, so std::sort cannot be asked")
    folder = tmp_path_factory.mktemp("sort")
    (folder / "sort.cpp").write_text(PROGRAM)
    subprocess.run([compiler, "-O1", "-o", folder / "sort", folder / "sort.cpp"], check=True)

    def places(keys: np.ndarray) -> list[int]:
        text = "\n".join(map(str, keys.tolist()))
        done = subprocess.run([folder / "sort"], input=text, capture_output=True, text=True, check=True)
        return list(map(int, done.stdout.split()))

    return places


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 200, 1000])
def test_equal_keys_end_where_the_library_puts_them(of_the_library, n):
    rng = np.random.default_rng(n)
    for kinds in (1, 2, 5, 50, 1 << 20):
        keys = rng.integers(0, kinds, n).astype(np.float32)
        assert places_after(keys) == of_the_library(keys)


@pytest.mark.parametrize("n", [64, 500, 4000])
def test_a_part_that_was_split_too_often_ends_where_the_library_puts_it(of_the_library, n):
    keys = killer(n)
    assert places_after(keys) == of_the_library(keys)
    tied = np.floor(keys / 4)
    assert places_after(tied) == of_the_library(tied)
