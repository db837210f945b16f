import cv2
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from model import upsampling

RULES = {
    "linear": {"mode": "bilinear", "align_corners": False},
    "linear_corners": {"mode": "bilinear", "align_corners": True},
    "cubic_corners": {"mode": "bicubic", "align_corners": True},
}


def some_maps(shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    one_hot = np.zeros(shape)
    one_hot[0, -1] = 1
    kinds = [rng.normal(size=shape), rng.integers(0, 3, shape), one_hot, np.full(shape, 0.1)]
    return np.stack(kinds).astype(np.float32)


@pytest.mark.parametrize("shape", [(7, 7), (10, 10), (20, 20), (5, 9), (2, 2)])
@pytest.mark.parametrize("name", RULES)
def test_every_rule_equals_torch(name, shape):
    maps = some_maps(shape)
    by_torch = interpolate(torch.from_numpy(maps)[:, None].double(), (224, 224), **RULES[name])[:, 0].numpy()
    enlarged = getattr(upsampling, name)(maps)
    assert (enlarged.dtype, enlarged.shape) == (np.float32, (4, 224, 224))
    assert np.abs(enlarged - by_torch).max() < 1e-6


@pytest.mark.parametrize("side", [7, 14, 20])
def test_linear_equals_cv2(side):
    for heat, enlarged in zip(some_maps((side, side)), upsampling.linear(some_maps((side, side))), strict=True):
        by_cv2 = cv2.resize(heat.astype(np.float64), (224, 224), interpolation=cv2.INTER_LINEAR)
        assert np.abs(enlarged - by_cv2).max() < 1e-6


def test_half_pixel_and_corners_by_hand():
    heat = np.array([[[0.0, 1.0]]])
    assert upsampling.linear(np.repeat(heat, 2, axis=1), 4)[0, 0].tolist() == [0, 0.25, 0.75, 1]
    assert upsampling.linear_corners(np.repeat(heat, 2, axis=1), 4)[0, 0] == pytest.approx([0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("name", RULES)
def test_a_constant_map_stays_constant_and_a_map_of_one_cell_is_one(name):
    rule = getattr(upsampling, name)
    for side in (1, 2, 10):
        assert (rule(np.full((1, side, side), 0.1, np.float32)) == np.float32(0.1)).all()


@pytest.mark.parametrize("name", RULES)
def test_a_map_of_the_right_size_is_left_as_it_is(name):
    maps = np.random.default_rng(1).normal(size=(2, 224, 224)).astype(np.float32)
    assert (getattr(upsampling, name)(maps) == maps).all()


@pytest.mark.parametrize("name", RULES)
def test_a_map_is_enlarged_alone_as_it_is_in_company(name):
    maps = some_maps((10, 10))
    together = getattr(upsampling, name)(maps)
    for i in range(len(maps)):
        assert (getattr(upsampling, name)(maps[i : i + 1])[0] == together[i]).all()
