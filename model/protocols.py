"""From a raw heat map to a mask: the field's evaluation protocols, each to its own definition.

Conventions: a rule takes maps (B, S, S) that are enlarged already, and the truth g in [0, 1] of the same shape; it
returns masks (B, S, S). `Protocol.masks` enlarges raw maps (B, h, w) first, by the protocol's own rule. s is a map's
values in ascending order, N = S^2 their number, n(x) the map scaled to [0, 1]. Systems' maps are cosines in [-1, 1];
rules with a fixed threshold look at (x + 1) / 2. A map of NaN has an empty mask under every protocol.

No two of these can be compared: the choice alone moves one map by 30 points (docs/evaluation.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.upsampling import Maps, Upsampling, cubic_corners, linear, linear_corners

Masks = NDArray[np.bool_]
F = TypeVar("F", bound=np.floating)
Rule = Callable[[Maps, Maps | None], Masks]
FIXED_THRESHOLDS = np.arange(1, 20) / 20  # .05 ... .95, of (x + 1) / 2


def constant(maps: Maps) -> NDArray[np.bool_]:
    """(B,) where a map says the same of every pixel: it points nowhere."""
    return ~(maps.max(axis=(1, 2)) > maps.min(axis=(1, 2)))  # so that a map of NaN points nowhere either


def ordered_value(maps: NDArray[F], places: NDArray[np.integer] | int) -> NDArray[F]:
    """(B, 1, 1) the value at a place (one for all, or one a map) of each map's ascending order."""
    flat = maps.reshape(len(maps), -1)
    places = np.broadcast_to(places, len(maps))
    values = [np.partition(row, place)[place] for row, place in zip(flat, places, strict=True)]
    return np.array(values, maps.dtype).reshape(-1, 1, 1)


def upper_median(maps: NDArray[F]) -> NDArray[F]:
    """(B, 1, 1) s[N/2] of each map."""
    return ordered_value(maps, maps.shape[1] * maps.shape[2] // 2)


def lvs_top50(maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels with x > s[N/2]: nearly half the frame (Chen et al. 2021: LVS, test.py). A constant map is empty."""
    return maps > upper_median(maps)


def lvs_top50_literal(maps: Maps, truth: Maps | None = None) -> Masks:
    """LVS to the letter: x = 1 - n(-U) of the enlarged map U; x > s[N/2], and besides whatever is 1 or more.

    A constant map, which n leaves as it is, is full where it is not negative and empty where it is.
    """
    x = 1 - _scaled(-maps.astype(np.float64))
    return (x > upper_median(x)) | (x >= 1)


def _scaled(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The maps scaled to [0, 1], n(x); a constant one as it is."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return np.where(high > low, (maps - low) / np.where(high > low, high - low, 1), maps)


def upper_half(maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels with x >= s[N/2]: at least half the frame, all of it where the map is constant.

    Scaling keeps the order, and so do SLAVC's fixed ranges: neither is computed.
    """
    return maps >= upper_median(maps)


def at_least(threshold: float, maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels with (x + 1) / 2 >= threshold, the same for all maps."""
    return maps >= np.float32(2 * threshold - 1)


def adaptive(maps: Maps, truth: Maps | None) -> Masks:
    """As many pixels as the truth has, highest first, ties by row: exactly n. A constant map is empty."""
    n = truth_pixels(truth)
    total = maps.shape[1] * maps.shape[2]
    bound = ordered_value(maps, np.minimum(total - n, total - 1))
    above, tied = maps > bound, maps == bound
    wanted = (n - above.sum(axis=(1, 2)))[:, None]  # of those at the bound
    first = np.cumsum(tied.reshape(len(maps), -1), axis=1) <= wanted
    taken = above | (tied & first.reshape(maps.shape))
    return taken & ((n > 0) & ~constant(maps))[:, None, None]


def adaptive_strict(maps: Maps, truth: Maps | None) -> Masks:
    """Pixels with x > s[N - K]: at most K - 1 of them (Senocak et al. 2023: SSLA, test.py)."""
    return maps > adaptive_bound(maps, truth)


def adaptive_bound(maps: Maps, truth: Maps | None) -> Maps:
    """(B, 1, 1) s[N - K] of each map, K the pixels of the truth, or N/2 where it has none."""
    n = truth_pixels(truth)
    total = maps.shape[1] * maps.shape[2]
    return ordered_value(maps, total - np.where(n > 0, n, total // 2))


def truth_pixels(truth: Maps | None) -> NDArray[np.intp]:
    """(B,) pixels that anybody boxed; raises ValueError where a protocol that needs the truth is given none."""
    if truth is None:
        raise ValueError("this protocol needs the truth: it takes as many pixels as the truth has")
    return np.count_nonzero(truth, axis=(1, 2))


def half_max(maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels with n(x) >= .5 (Song et al. 2022: SSPL, test.py). A constant map is empty."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low >= 0.5 * (high - low)) & (high > low)


def above_share_of_maximum(share: float, maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels with x > share max(x), nothing scaled (Hu et al. 2020: DSOL).

    Empty where the maximum is not positive; full where the map is constant and positive.
    """
    return maps > np.float32(share) * maps.max(axis=(1, 2), keepdims=True)


@dataclass(frozen=True)
class Protocol:
    """How raw maps are enlarged and what of them becomes the mask.

    sees_truth: it means nothing where there is no truth. absolute: it has a threshold of its own on (x + 1) / 2, so
    that maps in [0, 1] are to be given as 2 x - 1.
    """

    upsampling: Upsampling
    rule: Rule
    sees_truth: bool = False
    absolute: bool = False

    def masks(self, maps: NDArray[np.floating], truth: Maps | None = None) -> Masks:
        """Raw maps (B, h, w), and truth (B, 224, 224) where the protocol sees it -> masks (B, 224, 224)."""
        return self.rule(self.upsampling(maps), truth)


def fixed(threshold: float) -> Protocol:
    """One threshold on (x + 1) / 2 for all clips (Park et al. 2024: ACL, Eval.py); `FIXED_THRESHOLDS` are to choose
    from, by the area under the success curve.
    """
    return Protocol(linear, partial(at_least, threshold), absolute=True)


PROTOCOLS = {
    "adaptive": Protocol(linear, adaptive, sees_truth=True),
    "adaptive_strict": Protocol(linear, adaptive_strict, sees_truth=True),
    "lvs_top50": Protocol(linear, lvs_top50),
    "lvs_top50_literal": Protocol(linear, lvs_top50_literal),
    "ez_top50": Protocol(linear_corners, upper_half),  # Mo & Morgado 2022 (ECCV), test.py
    "slavc_relative": Protocol(cubic_corners, upper_half),  # Mo & Morgado 2022 (NeurIPS), test.py
    "slavc_absolute": Protocol(cubic_corners, partial(at_least, 0.5), absolute=True),
    "half_max": Protocol(linear, half_max),
    "max_fraction": Protocol(linear, partial(above_share_of_maximum, 0.1)),  # one source in sight
    "max_fraction_20": Protocol(linear, partial(above_share_of_maximum, 0.2)),  # duets
    "max_fraction_50": Protocol(linear, partial(above_share_of_maximum, 0.5)),  # synthetic pairs
}
FITTED = ("best_fixed", "best_fixed_on_test")  # `fixed` at a threshold chosen on val; on the evaluated clips themselves
