from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from model.audio import GivenVector
from model.batch import Batch
from model.network import Network
from model.systems import guided
from model.systems.guided import Guided, Settings

SIZE = 6  # cells a side
LOOKS = torch.tensor([[1.0, 0, 0, 0, 2, 0], [0, 1.0, 0, 0, 0, 2], [0, 0, 1.0, 0, -2, -2]])  # of three kinds, 6 channels
SCORES = torch.tensor([[0.8, 0.1, 0, 0.1], [0.1, 0.9, 0, 0.1], [0, 0.1, 0.7, 0.1]])


class Depths(Network):
    """No network: frames are features already, of two depths."""

    channels, begins = 6, (0, 4)

    def forward(self, frames: Tensor) -> Tensor:
        return frames


def clips(n: int, seed: int, noise: float = 0.3) -> tuple[Batch, Tensor]:
    """Clips with a thing of the kind that sounds and one of another, and where the one that sounds is."""
    rng = torch.Generator().manual_seed(seed)
    kinds = torch.randint(3, (n,), generator=rng)
    silent_next = torch.randint(2, (n,), generator=rng).tolist()
    frames = noise * torch.randn(n, 6, SIZE, SIZE, generator=rng)
    where = torch.zeros(n, SIZE, SIZE)
    below = torch.rand(n, SIZE, SIZE, generator=rng) / 2
    for i, kind in enumerate(kinds.tolist()):
        row, left = torch.randint(SIZE - 1, (2,), generator=rng).tolist()
        silent = (kind + 1 + silent_next[i]) % 3
        frames[i, :, row : row + 2, left // 2 : left // 2 + 2] += LOOKS[kind][:, None, None]
        frames[i, :, row : row + 2, 4:] += LOOKS[silent][:, None, None]
        where[i, row : row + 2, left // 2 : left // 2 + 2] = 1
        below[i, row : row + 2] += 0.5
    sounds = (SCORES[kinds] + 0.05 * torch.rand(n, 4, generator=rng)).clamp(0, 1)
    return Batch(frames, sounds, below), where


def parts(batch: Batch, size: int) -> Iterator[Batch]:
    assert batch.frames is not None
    for i in range(0, len(batch.sounds), size):
        yield Batch(batch.frames[i : i + size], batch.sounds[i : i + size], batch.bottom_up[i : i + size])


def fitted(batch: Batch, size: int = 16) -> Guided:
    system = Guided(Depths(), GivenVector(4), Settings())
    with torch.no_grad():
        system.fit(lambda: parts(batch, size))
    return system


def heat(system: Guided, batch: Batch, sounds: Tensor | None = None) -> Tensor:
    return system.heat(batch.frames, batch.sounds if sounds is None else sounds, batch.bottom_up)


def literal(batch: Batch, heard: Tensor) -> np.ndarray:
    """The maps of the clips under other sounds, step by step as the module's docstring has them, clip by clip."""
    f = batch.frames.double().numpy()
    n = len(f)
    a = np.sqrt(batch.sounds.double().numpy())
    b = batch.bottom_up.double().numpy()
    cells = f.transpose(0, 2, 3, 1).reshape(-1, 6)
    mean, deviation = cells.mean(axis=0), cells.std(axis=0) + 0.001
    scatter = sum(np.outer(x - a.mean(axis=0), x - a.mean(axis=0)) for x in a)
    lam = 0.35 * np.linalg.eigvalsh(scatter).max()

    def maps(weights: np.ndarray, depth: slice, sounds: np.ndarray) -> np.ndarray:
        """S of every clip, in deviations over all frames under all sounds."""
        x = (f[:, depth] - mean[depth, None, None]) / deviation[depth, None, None]
        z = np.stack([(w * one).sum(axis=(1, 2)) / w.sum() for w, one in zip(weights, x, strict=True)])
        pairs = sum(np.outer(s - a.mean(axis=0), t - z.mean(axis=0)) for s, t in zip(a, z, strict=True))
        w = np.linalg.inv(scatter + lam * np.eye(4)) @ pairs
        flat = x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])
        sigma = np.cov(flat.T, bias=True)
        h = np.linalg.inv(sigma + 0.1 * np.linalg.eigvalsh(sigma).max() * np.eye(len(sigma))) @ w.T
        every = flat @ h @ (a - a.mean(axis=0)).T  # every cell under every sound
        filters = h @ (sounds - a.mean(axis=0)).T
        return np.stack([np.tensordot(filters[:, i], x[i], 1) for i in range(n)]) / every.std()

    def scaled(m: np.ndarray) -> np.ndarray:
        low, high = m.min(axis=(1, 2), keepdims=True), m.max(axis=(1, 2), keepdims=True)
        return (m - low) / (high - low)

    found = (scaled(maps(b, slice(4, 6), a)) * scaled(b)) ** 2
    under = np.sqrt(heard.double().numpy())
    return (maps(found, slice(0, 4), under) + maps(found, slice(4, 6), under)) / (2 * 3)


def test_its_maps_equal_the_recipe_written_out():
    batch, _ = clips(40, 0)
    heard = batch.sounds.roll(1, dims=0)
    assert heat(fitted(batch), batch, heard).numpy() == pytest.approx(literal(batch, heard), abs=1e-4)


def test_it_finds_what_sounds_and_follows_another_sound_to_what_that_is_of():
    system = fitted(clips(200, 1)[0])
    batch, where = clips(50, 2)
    right = heat(system, batch)
    warmest = right.flatten(1).argmax(dim=1, keepdim=True)
    assert where.flatten(1).gather(1, warmest).mean() > 0.9
    warm, of_another = (
        (maps * where).sum(dim=(1, 2)) for maps in (right, heat(system, batch, batch.sounds.roll(1, 1)))
    )
    assert (of_another < warm).all()


def test_it_is_the_same_whatever_the_batches():
    batch, _ = clips(50, 3)
    one, other = (fitted(batch, size).state_dict() for size in (50, 7))
    assert set(one) == {"filters", "mean_cell", "mean_sound"}
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=1e-6), name


def test_a_map_has_a_scale_that_does_not_depend_on_that_of_features_or_sounds():
    batch, _ = clips(100, 4)
    assert batch.frames is not None
    right = heat(fitted(batch), batch)
    scaled = Batch(50 * batch.frames - 3, batch.sounds / 4, batch.bottom_up)
    assert torch.allclose(heat(fitted(scaled), scaled), right, atol=0.01)
    assert 0.2 < float(right.std()) < 1


def test_sounds_of_any_sign_are_rooted_under_their_sign():
    system = Guided(Depths(), GivenVector(4), Settings())
    assert system.sound(torch.tensor([[0.25, -4.0, 0, 1]])).tolist() == [[0.5, -2, 0, 1]]


def test_sounds_or_frames_that_are_all_the_same_cannot_be_learned_from():
    batch, _ = clips(20, 5)
    assert batch.frames is not None
    one_sound = Batch(batch.frames, batch.sounds[:1].expand(20, -1), batch.bottom_up)
    with pytest.raises(ValueError, match="to the networks all sounds are the same"):
        fitted(one_sound)
    one_look = Batch(torch.full_like(batch.frames, 0.3), batch.sounds, batch.bottom_up)
    with pytest.raises(ValueError, match="to the networks all cells of all frames are the same"):
        fitted(one_look)


def test_a_clip_without_any_region_counts_with_all_its_cells():
    features, weights = torch.rand(2, 3, 4, 4), torch.rand(2, 4, 4)
    weights[1] = 0
    pooled = guided._pooled(features, weights)
    assert torch.allclose(pooled[1], features[1].mean(dim=(1, 2)))
    by_hand = sum(weights[0, r, c] * features[0, :, r, c] for r in range(4) for c in range(4)) / weights[0].sum()
    assert torch.allclose(pooled[0], by_hand)
