"""CAM (Qian et al., ECCV 2020: from coarse to fine): maps of classes, aligned with sounds of the same classes.

Frames and sounds are told apart by class. A class activation map says where in a frame a class is; the mean feature
under the map of a clip's own class must be near to its sound, and far from sounds of other classes. A sound is shown
where the maps of its probable classes are.

The classes are the clips' labels (`Cam`) or, where nothing is labelled, those that a sound network trained elsewhere
tells apart (`CamPseudo`). Theirs has two stages, several classes a clip and so a sigmoid for each; here a clip has one
class, and all is trained at once.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import losses
from model.batch import Batch
from model.network import Network
from model.system import System

HIDDEN, CHANNELS = 1024, 128  # of the projections to where frames and sounds are compared (their code)
MARGIN = 1.4  # distance from which on a negative pair counts no more; unit vectors are at most 2 apart (their code)


@dataclass(frozen=True)
class Settings:
    """n_labels: of the clips to train on; None where a system is told none."""

    n_labels: int | None


class Cam(System):
    """A classifier on each network, and a contrast between features of classes and sounds."""

    settings_class = Settings
    settings: Settings
    uses = frozenset({"labels"})

    def __init__(self, vision: Network, audio: Network, settings: Settings) -> None:
        super().__init__(vision, audio, settings)
        c, d, n = vision.channels, audio.channels, self.n_classes
        self.class_of_cells = nn.Conv2d(c, n, 1)
        self.class_of_sound = nn.Linear(d, n)
        self.of_frame = nn.Sequential(nn.Linear(c, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CHANNELS))
        self.of_sound = nn.Sequential(nn.Linear(d, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CHANNELS))

    @property
    def n_classes(self) -> int:
        """How many classes are told apart."""
        assert self.settings.n_labels is not None  # declared
        return self.settings.n_labels

    def classes(self, batch: Batch, sounds: Tensor) -> Tensor:
        """(B,) the class of each clip; sounds: (B, D)."""
        assert batch.labels is not None  # declared
        return batch.labels

    def probabilities(self, sounds: Tensor) -> Tensor:
        """(B, n) how probable each class is for a sound (B, D)."""
        return self.class_of_sound(sounds).softmax(dim=1)

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """The mean of the class activation maps, as probable as the sound makes each (B, h, w), in [-1, 1].

        A class activation map has no bounds of its own; x / (1 + |x|) gives it some and keeps the order.
        """
        maps = activation_maps(self.see(frames, features), self.class_of_cells.weight)
        return F.softsign(torch.einsum("bn,bnhw->bhw", self.probabilities(self.hear(sounds)), maps))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The sum of three terms as `loss`, and each: what frames and sounds are classified as, and the contrast."""
        features, sounds = self.see(batch.frames, batch.features), self.hear(batch.sounds)
        classes = self.classes(batch, sounds)
        seen = F.cross_entropy(self.class_of_cells(features).mean(dim=(-2, -1)), classes)
        heard = F.cross_entropy(self.class_of_sound(sounds), classes)
        maps = activation_maps(features, self.class_of_cells.weight)
        own = maps[torch.arange(len(maps), device=maps.device), classes]  # (B, h, w)
        of_frames = F.normalize(self.of_frame(mean_feature(features, own)), dim=1)
        of_sounds = F.normalize(self.of_sound(sounds), dim=1)
        aligned = contrast(losses.distance(of_frames[:, None], of_sounds[None]), classes)
        return {"loss": seen + heard + aligned, "seen": seen, "heard": heard, "aligned": aligned}


def activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """(B, n, h, w) what each cell adds to each class, without its bias; weight: (n, C, 1, 1) of the classifier."""
    return F.conv2d(features, weight)


def mean_feature(features: Tensor, maps: Tensor) -> Tensor:
    """(B, C) the mean of features (B, C, h, w) under rectified maps (B, h, w); 0 where a map is nowhere positive."""
    weights = F.relu(maps)
    total = weights.sum(dim=(-2, -1)).clamp(min=losses.EPSILON)
    return torch.einsum("bhw,bchw->bc", weights, features) / total[:, None]


def contrast(distances: Tensor, classes: Tensor) -> Tensor:
    """The mean square of own distances, and that of how far other classes are within the margin; their scalar sum.

    distances: (B, B) of frame i to sound k. classes: (B,). A sound of the same class in another clip is no negative.
    """
    own = distances.diagonal().square().mean()
    others = classes[:, None] != classes[None]
    within = F.relu(MARGIN - distances).square()
    return own + (within * others).sum() / others.sum().clamp(min=1)
