"""A system that listens: sound to sight by ridge regression, solved in closed form. No paper's; docs/guided.md.

1. Pool. Of each clip the features f_p of its cells p are averaged where the bottom-up map is high:
   z = sum_p w_p f_p, w_p = B_p / sum B.
2. Ridge. W = argmin sum |z - mean z - W' (a - mean a)|^2 + lambda |W|^2 over the clips, a the clip's sound.
3. Whiten. Sigma is the covariance of all cells, M = Sigma + rho I: the filter of a sound is h(a) = M^-1 W' (a - mean a)
   and its map S_p = h(a) . (f_p - mean f). This is linear discriminant analysis with sounds in place of classes: what
   all frames are full of cancels, however much of it goes along with the sound.
4. Once more. w_p is now (n(S_p) n(B_p))^2, n scaled to [0, 1] over the cells of the clip, S under the clip's own sound:
   the things that were found, not all that might be one, are regressed on.
5. Depths. Where the visual network gives several (`Network.begins`), each has its own filters, all pooled by the map of
   the deepest one; their maps are scaled alike and summed.

No box, no label, no class name is used. What is kept while fitting does not grow with the number of clips.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.batch import Batch
from model.network import Network
from model.system import Batches, System
from model.top_down import scaled

# All chosen on val of the pairs (docs/guided.md); the results are flat round them.
RIDGE = 0.35  # lambda, of the largest eigenvalue of the sounds' scatter
SHRINKAGE = 0.1  # rho, of the largest eigenvalue of Sigma
ROUNDS = 1  # of step 4
SHARPNESS = 2  # power of step 4
FLOOR = 1e-3  # of a channel's deviation, so that a channel that is always the same divides nothing by nothing
FULL_SCALE = 3.0  # deviations of a map that stand at 1
ROUNDING = 1e-12  # share of the mean square that a variance may be by rounding alone


@dataclass(frozen=True)
class Settings:
    """Nothing of `train` is this system's: its constants are this file's."""


class Guided(System):
    """Filters of a sound, solved for on networks that stay as they are.

    They are those of pre-trained weights and the source's vectors, or where one is to be learned, a trained usol's.
    """

    settings_class = Settings
    is_fitted = True
    begins_with = "usol"
    filters: Tensor  # (C, D)
    mean_cell: Tensor  # (C,)
    mean_sound: Tensor  # (D,)

    def __init__(self, vision: Network, audio: Network, settings: Settings) -> None:
        super().__init__(vision, audio, settings)
        self.register_buffer("filters", torch.zeros(vision.channels, audio.channels))
        self.register_buffer("mean_cell", torch.zeros(vision.channels))
        self.register_buffer("mean_sound", torch.zeros(audio.channels))

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """The sum of S over depths (B, h, w), 0 where a cell is as all cells are, 1 at three deviations from there."""
        centred = self.see(frames, features) - self.mean_cell[:, None, None]
        filters = (self.sound(sounds) - self.mean_sound) @ self.filters.T
        return torch.einsum("bc,bchw->bhw", filters, centred)

    def sound(self, sounds: Tensor) -> Tensor:
        """What the sound network says, the root of each number under its sign: large ones count less.

        Of scores in [0, 1] these are the vectors whose products Hellinger's distance is made of.
        """
        heard = self.hear(sounds)
        return heard.sign() * heard.abs().sqrt()

    def fit(self, batches: Batches) -> None:
        """Two passes over the clips: steps 1 to 3, and step 4 and the rest; sums in float64.

        Raises ValueError where all sounds, or all cells, are the same.
        """
        cells, sounds, pooled = _Moments(), _Moments(), _Moments()
        for batch in batches():
            features, heard = self._seen_and_heard(batch)
            every = features.movedim(1, -1).flatten(0, 2)  # (B h w, C)
            cells.add(every, every)
            sounds.add(heard, heard)
            pooled.add(heard, _pooled(features, batch.bottom_up.cpu().double()))
        for what, moments in {"sounds": sounds, "cells of all frames": cells}.items():
            if moments.covariance().trace() <= ROUNDING * moments.mean_square:
                raise ValueError(f"to the networks all {what} are the same")
        ends = (*self.vision.begins[1:], self.vision.channels)
        depths = [slice(*places) for places in zip(self.vision.begins, ends, strict=True)]
        for _ in range(ROUNDS):
            pooled = self._pooled_anew(batches, _filters(sounds, cells, pooled, depths[-1]), depths[-1], sounds.mean_x)
        filters = torch.cat([_filters(sounds, cells, pooled, depth) for depth in depths])
        self.filters.copy_(filters / (FULL_SCALE * len(depths)))
        self.mean_cell.copy_(cells.mean_x)
        self.mean_sound.copy_(sounds.mean_x)

    def _pooled_anew(self, batches: Batches, filters: Tensor, depth: slice, mean_sound: Tensor) -> "_Moments":
        """Step 4: all features pooled where the filters (C, D) of one depth find the clip's own sound."""
        pooled = _Moments()
        for batch in batches():
            features, heard = self._seen_and_heard(batch)
            found = torch.einsum("bc,bchw->bhw", (heard - mean_sound) @ filters.T, features[:, depth])
            likely = scaled(found) * scaled(batch.bottom_up.cpu().double())
            pooled.add(heard, _pooled(features, likely**SHARPNESS))
        return pooled

    def _seen_and_heard(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features (B, C, h, w) and sounds (B, D) in float64, on the processor: not every device has that."""
        return self.see(batch.frames, batch.features).cpu().double(), self.sound(batch.sounds).cpu().double()


class _Moments:
    """Means and covariance of pairs of vectors x, y, added up batch by batch."""

    def __init__(self) -> None:
        self._n = 0
        self._x: Tensor = torch.zeros(())
        self._y: Tensor = torch.zeros(())
        self._xy: Tensor = torch.zeros(())

    def add(self, x: Tensor, y: Tensor) -> None:
        self._n += len(x)
        self._x, self._y, self._xy = self._x + x.sum(dim=0), self._y + y.sum(dim=0), self._xy + x.T @ y

    @property
    def mean_x(self) -> Tensor:
        return self._x / self._n

    @property
    def mean_square(self) -> Tensor:
        """Of x, where y is x."""
        return self._xy.trace() / self._n

    def covariance(self) -> Tensor:
        """(X, Y), of the clips as they are, not of what they were drawn from."""
        return self._xy / self._n - torch.outer(self._x, self._y) / self._n**2


def _filters(sounds: _Moments, cells: _Moments, pooled: _Moments, depth: slice) -> Tensor:
    """(C, D) steps 2 and 3 on the channels of a depth; maps have a deviation of 1 over all frames under all sounds.

    Channels are standardised over all cells: Sigma is their correlation.
    """
    of_sounds, of_cells = sounds.covariance(), cells.covariance()[depth, depth]
    deviation = of_cells.diagonal().clamp(min=0).sqrt() + FLOOR
    sigma = of_cells / torch.outer(deviation, deviation)
    regression = torch.linalg.solve(_loaded(of_sounds, RIDGE), pooled.covariance()[:, depth] / deviation)  # (D, C)
    filters = torch.linalg.solve(_loaded(sigma, SHRINKAGE), regression.T) / deviation[:, None]
    variance = torch.trace(filters.T @ of_cells @ filters @ of_sounds)
    return filters / variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()


def _loaded(covariance: Tensor, share: float) -> Tensor:
    """The covariance with a share of its largest eigenvalue added to all of them."""
    largest = torch.linalg.eigvalsh(covariance)[-1].clamp(min=torch.finfo(covariance.dtype).tiny)
    return covariance + share * largest * torch.eye(len(covariance), dtype=covariance.dtype)


def _pooled(features: Tensor, weights: Tensor) -> Tensor:
    """(B, C) the mean of features (B, C, h, w) under weights (B, h, w) >= 0; of all cells where none has any weight."""
    weights = torch.where(weights.sum(dim=(1, 2), keepdim=True) > 0, weights, 1)
    return torch.einsum("bhw,bchw->bc", weights / weights.sum(dim=(1, 2), keepdim=True), features)
