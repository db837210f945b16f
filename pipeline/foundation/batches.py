"""Shards -> batches on the device, augmented. One clip's numbers are the same in any company.

Augmentation (`train.augment`) treats the frame and its bottom-up map as one: what mirrors or shifts the one does so to
the other. `flips`: left-right, brightness, contrast and colour; the sound rolled in time, louder or softer. `strong`:
also upside down, and shifted by whole cells round the edges. `as_coded`: the authors' (pipeline/foundation/jitter.py),
which flips the frame and forgets its map; `as_coded_map_follows`: the same, but for that.
"""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.batch import Batch
from pipeline.foundation.jitter import jittered
from pipeline.foundation.manifest import Box, Manifest
from pipeline.foundation.randomness import fraction, generator, whole
from pipeline.foundation.shards import Shards
from pipeline.foundation.truth import cells_of, truth_of

Augment = Literal["none", "flips", "strong", "as_coded", "as_coded_map_follows"]
AUTHORS = ("as_coded", "as_coded_map_follows")
JITTER = 0.25  # of brightness, contrast and each colour, either way
GAIN_DB = 6.0  # either way
CELL = 16  # pixels a side: annotated boxes are drawn as finely as the frame before they become shares of cells


@dataclass(frozen=True)
class Folders:
    """Where the shards of each kind lie; features where a frozen network's are kept, regions where any vote."""

    frames: Path
    sounds: Path
    bottom_up: Path
    features: Path | None = None
    regions: Path | None = None


@dataclass(frozen=True)
class Annotations:
    """What a system is told of the clips beyond what is seen and heard: by clip_id, None where it is told nothing.

    boxes: of the clips that have any round what sounds. numbers: of their labels, among `n_labels`.
    """

    boxes: Mapping[str, list[Box]] | None = None
    numbers: Mapping[str, int] | None = None
    n_labels: int | None = None

    @classmethod
    def of(cls, split: Manifest, train: Manifest, uses: Set[str]) -> "Annotations":
        """Of a split, what `uses` of a system names; labels are numbered as those of the clips to train on."""
        boxes = numbers = n_labels = None
        if "boxes" in uses:
            boxes = {clip: of for clip, of in split.boxes_of().items() if any(box.sounding for box in of)}
        if "labels" in uses:
            number = {label: i for i, label in enumerate(sorted({clip.label for clip in train.clips if clip.label}))}
            numbers = {clip.clip_id: number[clip.label] for clip in split.clips if clip.label in number}
            n_labels = len(number)
        return cls(boxes, numbers, n_labels)

    def __contains__(self, clip_id: str) -> bool:
        """Whether all is known of a clip that the system is to be told."""
        return all(told is None or clip_id in told for told in (self.boxes, self.numbers))


NOTHING_TOLD = Annotations()


class Clips:
    """The usable clips of a split: those of its manifest that no stage rejected, ordered by clip_id.

    Where a system is told of boxes or labels, those alone that have them.
    """

    def __init__(
        self, clip_ids: Sequence[str], folders: Folders, device: torch.device, told: Annotations = NOTHING_TOLD
    ) -> None:
        self.frames, self.sounds, self.maps = (
            Shards(folder) for folder in (folders.frames, folders.sounds, folders.bottom_up)
        )
        self.features = Shards(folders.features) if folders.features else None
        self.told = told
        self.clip_ids = sorted(clip_id for clip_id in clip_ids if all(clip_id in all_ for all_ in (told, *self.stores)))
        self._place = {clip_id: i for i, clip_id in enumerate(self.clip_ids)}
        self.device = device
        self.sound_name = "logmel" if "logmel" in self.sounds.shards[0].names else "vector"

    @property
    def stores(self) -> tuple[Shards, Shards, Shards]:
        """All that a clip must be in."""
        return self.frames, self.sounds, self.maps

    @property
    def unit(self) -> float:
        """The step in which the maps count boxes."""
        return float(self.maps.attributes["unit"])

    @property
    def n_labels(self) -> int | None:
        """How many labels the clips to train on have; None where a system is told none."""
        return self.told.n_labels

    @property
    def sound_size(self) -> int:
        """Mel bands of a log-mel spectrogram, or numbers of a vector."""
        return len(self.sounds.read(self.sounds.clip_ids[0], self.sound_name))

    @property
    def front_end(self) -> dict[str, Any] | None:
        """What the sounds were heard through (`hearing.FrontEnd`); None where their shards do not say it."""
        named = self.sounds.attributes.get("front_end")
        return None if named is None else json.loads(named)

    def batch(
        self,
        clip_ids: Sequence[str],
        sounds_of: Sequence[str] | None = None,
        augmentation: "Augmentation | None" = None,
        negatives_of: Sequence[str] | None = None,
    ) -> Batch:
        """A batch of these clips; `sounds_of` and `negatives_of` name the clips whose sounds are heard with them."""
        sounds = self.sounds.stack(sounds_of or clip_ids, self.sound_name).astype(np.float32)
        maps = self._maps(clip_ids)
        negatives = None
        if negatives_of is not None:
            heard = self.sounds.stack(negatives_of, self.sound_name).astype(np.float32)
            if augmentation is not None:
                heard = np.stack([augmentation.of_negative(*pair) for pair in zip(clip_ids, heard, strict=True)])
            negatives = self._on_device(heard)
        seen = features = None
        if self.features is not None:
            features = self._on_device(self.features.stack(clip_ids, "features"))
        else:
            frames = self.frames.stack(clip_ids, "frame")
            colour = None
            if augmentation is not None:
                colour = np.empty((len(clip_ids), 3, 2), np.float32)
                for i, clip_id in enumerate(clip_ids):
                    frames[i], maps[i], sounds[i], colour[i] = augmentation(clip_id, frames[i], maps[i], sounds[i])
            seen = self._on_device(frames).permute(0, 3, 1, 2).float() / 255
            if colour is not None:
                scale, shift = self._on_device(colour)[..., None, None].unbind(2)
                seen = (seen * scale + shift).clamp(0, 1)
        bottom_up, *boxes = self._on_device(maps).unbind(1)
        labels = None
        if self.told.numbers is not None:
            labels = torch.tensor([self.told.numbers[clip_id] for clip_id in clip_ids], device=self.device)
        return Batch(seen, self._on_device(sounds), bottom_up, negatives, features, boxes[0] if boxes else None, labels)

    def _maps(self, clip_ids: Sequence[str]) -> NDArray[np.float32]:
        """(B, 1, h, w) the bottom-up maps; (B, 2, h, w) with the annotated boxes where a system is told of them."""
        maps = self.maps.stack(clip_ids, "map")[:, None]
        if self.told.boxes is None:
            return maps
        side = maps.shape[-1]
        truths = [truth_of(self.told.boxes[clip_id], CELL * side) for clip_id in clip_ids]
        boxes = np.stack([cells_of(truth, side) for truth in truths if truth is not None])
        return np.concatenate([maps, boxes[:, None]], axis=1)

    def in_turn(self, size: int) -> Iterator[list[str]]:
        """All clips in batches, in their order."""
        for start in range(0, len(self.clip_ids), size):
            yield self.clip_ids[start : start + size]

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[list[str]]:
        """All clips in batches, in an order that follows from the seed and the epoch; a lone last one waits."""
        order = sorted(self.clip_ids, key=lambda clip_id: fraction(seed, "shuffle", epoch, clip_id))
        for start in range(0, len(order), size):
            if len(chunk := order[start : start + size]) > 1:
                yield chunk

    def others_than(self, clip_ids: Sequence[str], seed: int, epoch: int) -> list[str]:
        """For each clip another one, any with the same chance, never itself; no list is searched."""
        n = len(self.clip_ids)
        others = []
        for clip_id in clip_ids:
            drawn = whole(seed, "negative", epoch, clip_id) % (n - 1)
            others.append(self.clip_ids[drawn + (drawn >= self._place[clip_id])])
        return others

    def sound_statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of all numbers of the clips' sounds."""
        n = total = squares = 0.0
        for clip_id in self.clip_ids:
            values = self.sounds.read(clip_id, self.sound_name).astype(np.float64)
            n, total, squares = n + values.size, total + values.sum(), squares + np.square(values).sum()
        mean = total / n
        return float(mean), float(np.sqrt(max(squares / n - mean**2, 0)) or 1)

    def _on_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


@dataclass(frozen=True)
class Augmentation:
    """What is done to a clip in an epoch; follows from the seed, the epoch and the clip's own id."""

    kind: Augment
    seed: int
    epoch: int

    def __call__(
        self, clip_id: str, frame: NDArray[np.uint8], maps: NDArray[np.float32], sound: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The frame, its maps and sound as augmented, and (3, 2) a factor and an addend for each colour.

        maps: (n, h, w), the bottom-up map first.
        """
        rng = generator(self.seed, "augment", self.epoch, clip_id)
        if self.kind in AUTHORS:
            frame, mirrored, upside_down = jittered(frame, rng)
            followed = maps[..., ::-1] if mirrored else maps
            followed = followed[..., ::-1, :] if upside_down else followed
            if self.kind == "as_coded":  # what is annotated follows, the bottom-up map does not
                followed = np.concatenate([maps[:1], followed[1:]])
            return frame, followed, sound, np.array([[1, 0]] * 3, np.float32)
        mirrored, upside_down = rng.random(2) < 0.5
        if mirrored:
            frame, maps = frame[:, ::-1], maps[..., ::-1]
        if self.kind == "strong":
            if upside_down:
                frame, maps = frame[::-1], maps[..., ::-1, :]
            down, right = rng.integers(0, maps.shape[-2:])
            cell = frame.shape[0] // maps.shape[-2]
            frame = np.roll(frame, (down * cell, right * cell), axis=(0, 1))
            maps = np.roll(maps, (down, right), axis=(-2, -1))
        brightness, contrast = rng.uniform(1 - JITTER, 1 + JITTER, 2)
        colour = np.empty((3, 2), np.float32)
        colour[:, 0] = brightness * contrast * rng.uniform(1 - JITTER, 1 + JITTER, 3)
        colour[:, 1] = brightness * (1 - contrast) * frame.mean() / 255
        return frame, maps, _heard_anew(sound, rng), colour

    def of_negative(self, clip_id: str, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Another clip's sound for this clip, augmented as its own is: nothing but the sound tells the two apart."""
        if self.kind in AUTHORS:
            return sound
        return _heard_anew(sound, generator(self.seed, "augment negative", self.epoch, clip_id))


def _heard_anew(sound: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Rolled in time, louder or softer, where it is a spectrogram in decibels."""
    if sound.ndim == 1:
        return sound
    return np.roll(sound, rng.integers(sound.shape[1]), axis=1) + np.float32(rng.uniform(-GAIN_DB, GAIN_DB))
