"""CAM without labels: the classes are those of a sound network that was trained elsewhere (Qian et al., ECCV 2020).

Its class scores are the sounds' vectors, and the highest of them is a clip's pseudo-label.
"""

from torch import Tensor

from model.batch import Batch
from model.systems.cam import Cam


class CamPseudo(Cam):
    """CAM on the numbers of a sound's vector as classes."""

    uses = frozenset()
    hears_vectors = True

    @property
    def n_classes(self) -> int:
        """As many as the vector has numbers."""
        return self.audio.channels

    def classes(self, batch: Batch, sounds: Tensor) -> Tensor:
        """(B,) the class of the highest score."""
        return sounds.argmax(dim=1)
