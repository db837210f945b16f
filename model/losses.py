"""What trains the attention: audiovisual correspondence, and the bottom-up map as a guide (Sec. 3.3).

Every loss is the mean over the batch; the paper does not say. Distances carry a small epsilon so that their gradient is
finite where two features meet.
"""

import torch
from torch import Tensor

EPSILON = 1e-12  # under the root of a squared distance
CERTAIN = 1 - 1e-6  # attention above it counts as this much: the logarithm of Eq. 11 stays finite


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Eq. 5: Euclidean distance along the last axis."""
    return ((a - b).square().sum(dim=-1) + EPSILON).sqrt()


def softmax_distance(d_pos: Tensor, d_neg: Tensor, temperature: float = 1.0) -> Tensor:
    """D_+ of softmax([d_+, d_-]); D_- is 1 - D_+."""
    return torch.sigmoid((d_pos - d_neg) / temperature)


def correspondence(d_pos: Tensor, d_neg: Tensor, temperature: float = 1.0) -> Tensor:
    """Eq. 6: |D_+| + |1 - D_-| = 2 D_+, averaged over the pairs."""
    return 2 * softmax_distance(d_pos, d_neg, temperature).mean()


def correspondence_as_coded(d_pos: Tensor, d_neg: Tensor) -> Tensor:
    """What the authors' code has for Eq. 6: the mean square of [D_+, D_-] - [0, 1], which is D_+^2."""
    return softmax_distance(d_pos, d_neg).square().mean()


def correspondence_of_all(distances: Tensor, temperature: float) -> Tensor:
    """Eq. 6 with every other sound and every other frame of the batch as negatives.

    distances: (B, B); [i, j] is that of frame i, seen under sound j, to sound j; the diagonal holds the positives.
    Returns the mean over all 2 B (B - 1) triplets: other sounds on this frame, other frames with this sound.
    """
    positive = distances.diagonal()
    others = ~torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    on_this_frame = softmax_distance(positive[:, None], distances, temperature)[others]
    with_this_sound = softmax_distance(positive[None, :], distances, temperature)[others]
    return 2 * torch.cat([on_this_frame, with_this_sound]).mean()


def salient(bottom_up: Tensor, t: float, unit: float) -> Tensor:
    """Eq. 10: I, where A_bottom is larger than t.

    unit: the step in which the map counts boxes (`bottom_up.count_unit`), 0 where it counts none. One box of K weighs
    exactly 1 / K, often t itself; whole counts are compared, not floats that err either way.
    """
    if unit:
        return torch.round(bottom_up / unit) > t / unit + 1e-6
    return bottom_up > t


def salient_share(bottom_up: Tensor, share: float) -> Tensor:
    """Eq. 10 with a threshold per clip: above the value that leaves at most this share of its cells above it."""
    cells = bottom_up.flatten(-2)
    n_above = int(share * cells.shape[-1] + 1e-6)  # .29 of 100 cells are 29
    threshold = cells.sort(dim=-1, descending=True).values[..., n_above]
    return bottom_up > threshold[..., None, None]


def inconspicuous(attention: Tensor, salient: Tensor) -> Tensor:
    """Eq. 11: - sum over cells of (1 - I) log(1 - A_top): attention on what nothing proposed. The batch's mean."""
    return -(torch.log1p(-attention.clamp(max=CERTAIN)) * ~salient).sum(dim=(-2, -1)).mean()
