"""Does a map follow the sound? The same frame is shown with silence, with noise and with another clip's sound (Juanola
et al. 2024: VSSL-EVAL).

Conventions: maps (B, S, S) are raw ones, enlarged bilinearly and never scaled. A pixel is lit where it is above a
threshold; under the clip's own sound, where it is at least that. Lower is better for the share that is lit, higher for
`aoc` and `f_score`.
"""

import numpy as np
from numpy.typing import NDArray

from model.localization import THRESHOLDS
from model.upsampling import Maps

Values = NDArray[np.float64]
Masks = NDArray[np.bool_]


def lit(maps: Maps, threshold: NDArray[np.float32] | float) -> Masks:
    """(B, S, S) where enlarged maps are above a threshold."""
    return maps > np.float32(threshold)


def share(masks: Masks) -> Values:
    """(B,) the share of the frame that is lit ("pIA")."""
    return masks.mean(axis=(1, 2))


def aoc(shares: Values) -> float:
    """The area under the share of clips of which at most theta is lit, over theta = 0, .05 ... 1: 1 if nothing is."""
    dark = (shares[:, None] <= THRESHOLDS + 1e-12).mean(axis=0)
    return float((dark[:-1] + dark[1:]).mean() / 2)


def overlap(masks: Masks, others: Masks) -> Values:
    """(B,) the IoU of two masks; 1 where both are empty."""
    union = (masks | others).sum(axis=(1, 2)).astype(np.float64)
    both = (masks & others).sum(axis=(1, 2))
    return np.divide(both, union, out=np.ones_like(union), where=union > 0)


def maxima(maps: Maps) -> Values:
    """(B,) the largest value of each map."""
    return maps.max(axis=(1, 2)).astype(np.float64)


def universal_thresholds(negatives: Values) -> dict[str, float]:
    """Thresholds for all clips from the maxima of maps that should be dark: their largest, and their third quartile."""
    return {"universal_max": float(negatives.max()), "universal_q3": float(np.percentile(negatives, 75))}


def f_score(found: float, lit_share: float) -> float:
    """The harmonic mean of the mean cIoU under the clips' own sounds and the share that stays dark under the others."""
    dark = 1 - lit_share
    return 2 * found * dark / (found + dark) if found + dark > 0 else 0.0
