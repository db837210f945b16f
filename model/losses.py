"""What trains the attention: audiovisual correspondence, and the bottom-up map as a guide (Sec. 3.3).

Every loss is the mean over the batch; the paper does not say. Distances carry a small epsilon so that their gradient is
finite where two features meet.
"""

import torch
from torch import Tensor

EPSILON = 1e-12  # under the root of a squared distance
CERTAIN = 1 - 1e-6  # attention above it counts as this much: the logarithm of Eq. 11 stays finite
NOTHING = 1e-30  # attention below it counts as this much: so does the logarithm of attention itself


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
    return forbidden(attention, ~salient)


def forbidden(attention: Tensor, target: Tensor) -> Tensor:
    """- sum over cells of target log(1 - A). The batch's mean; shapes as in `cross_entropy`."""
    return -(torch.log1p(-attention.clamp(max=CERTAIN)) * target).sum(dim=(-2, -1)).mean()


def cross_entropy(attention: Tensor, target: Tensor) -> Tensor:
    """- sum over cells of target log(A), which asks for attention and forbids none. The batch's mean.

    attention: (B, h, w), each map sums to 1. target: (B, h, w) in [0, 1], of any sum.
    """
    return -(torch.log(attention.clamp(min=NOTHING)) * target).sum(dim=(-2, -1)).mean()


def soft_label(attention: Tensor, bottom_up: Tensor) -> Tensor:
    """Eq. 8: the cross entropy of A_top with A_bottom as a soft label, in each cell; their sum, and the batch's mean.

    attention: (B, h, w), each map sums to 1. bottom_up: (B, h, w) in [0, 1]. As the cells cannot all be 1, the least
    value is not 0. Sec. 3.3 and 4.4 call Eq. 8 soft and Eq. 9 hard, Sec. 4.3 the reverse: the equations decide.
    """
    return cross_entropy(attention, bottom_up) + forbidden(attention, 1 - bottom_up)


def hard_label(attention: Tensor, salient: Tensor) -> Tensor:
    """Eq. 9: the same with I of Eq. 10 in the place of A_bottom."""
    return soft_label(attention, salient.to(attention.dtype))
