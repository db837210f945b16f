"""What every system has: two networks, a map of a frame under a sound, and a way to learn from batches.

A system overrides `heat`, and either `loss` (it is trained, epoch by epoch) or `fit` (it is solved in closed form). It
says in `uses` what it must be told beyond frames, sounds and maps; nothing else reaches it.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from model.batch import Batch
from model.network import Network

Batches = Callable[[], Iterator[Batch]]  # all clips of a split, each time anew, never the whole at once


class System(nn.Module):
    """A system that shows where in a frame a sound is.

    vision: frames -> (B, C, h, w), with `channels` C. audio: sounds -> (B, D), with `channels` D.
    settings: of `settings_class`, a frozen dataclass: fields by the names of keys of `train`, and any of `unit`,
    the step in which the maps count boxes (`bottom_up.count_unit`), and `n_labels`, of the clips to train on.
    """

    settings_class: ClassVar[type]
    uses: ClassVar[frozenset[str]] = frozenset()  # of "boxes" and "labels"
    hears_vectors: ClassVar[bool] = False  # only vectors: the class scores of a network that was trained elsewhere
    is_fitted: ClassVar[bool] = False  # by `fit`, in place of `loss`
    begins_with: ClassVar[str | None] = None  # the system whose trained networks it takes, unless both are given

    def __init__(self, vision: Network, audio: Network, settings: Any) -> None:
        super().__init__()
        self.vision, self.audio, self.settings = vision, audio, settings
        self.half_networks = False  # the two networks in bfloat16; what follows them never is

    @property
    def wants_negatives(self) -> bool:
        """Whether a batch must bring the sound of another clip for each of its own."""
        return False

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """The raw map of each frame under its sound (B, h, w); `features` where the frames have been seen already."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What training lowers, as `loss`, and any terms to be told of beside it: scalars, means over the batch."""
        raise NotImplementedError

    def fit(self, batches: Batches) -> None:
        """Learn from all clips at once; nothing random, nothing that grows with their number but what is said."""
        raise NotImplementedError

    def salient(self, bottom_up: Tensor) -> Tensor | None:
        """Which cells of a map the system takes for things (B, h, w), where it marks any."""
        return None

    def see(self, frames: Tensor | None, features: Tensor | None) -> Tensor:
        """What the visual network says of the frames (B, C, h, w); `features` themselves where it has seen them."""
        if features is not None:
            return features
        assert frames is not None  # a batch has one or the other
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=self.half_networks):
            return self.vision(frames).float()

    def hear(self, sounds: Tensor) -> Tensor:
        """What the sound network says of the sounds (B, D)."""
        with torch.autocast(sounds.device.type, torch.bfloat16, enabled=self.half_networks):
            return self.audio(sounds).float()
