"""Top-down attention: where in the frame the sound is (Sec. 3.2, Eq. 3, 4).

Conventions: feature maps F are (B, C, h, w), sound vectors h are (B, C), maps are (B, h, w).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def similarity(features: Tensor, sounds: Tensor) -> Tensor:
    """Eq. 3: the cosine between each cell's features and the sound. Returns (B, h, w) in [-1, 1]."""
    return torch.einsum("bchw,bc->bhw", F.normalize(features, dim=1), F.normalize(sounds, dim=1))


def similarity_of_all(features: Tensor, sounds: Tensor) -> Tensor:
    """Eq. 3 of every frame with every sound. Returns (frames, sounds, h, w)."""
    return torch.einsum("bchw,sc->bshw", F.normalize(features, dim=1), F.normalize(sounds, dim=1))


def attention(similarity: Tensor, temperature: float = 1.0) -> Tensor:
    """A_top: the softmax of a similarity over its cells; any (..., h, w), each map sums to 1."""
    return torch.softmax(similarity.flatten(-2) / temperature, dim=-1).view_as(similarity)


def attended(features: Tensor, attention: Tensor) -> Tensor:
    """Eq. 4: z, the features summed under the attention.

    attention (B, h, w) gives (B, C); (B, sounds, h, w), as each frame is seen under each sound, gives (B, sounds, C).
    """
    if attention.ndim == 3:
        return torch.einsum("bhw,bchw->bc", attention, features)
    return torch.einsum("bshw,bchw->bsc", attention, features)


def scaled(maps: Tensor) -> Tensor:
    """Maps (..., h, w) brought to [0, 1], each by itself; a constant one is 0."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    return (maps - low) / torch.where(high > low, high - low, 1)
