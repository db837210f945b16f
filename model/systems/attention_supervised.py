"""Attention, supervised (Senocak et al., CVPR 2018): the annotated boxes are a target of the attention, besides.

It is trained on annotated clips alone, as the paper's Table 1 has it. Theirs draws one annotator of each clip anew in
each epoch; here all of them make the target, by the rule of the truth that is scored (`Batch.boxes`).
"""

from torch import Tensor

from model import losses
from model.batch import Batch
from model.systems.attention import Attention


class AttentionSupervised(Attention):
    """The sum of the unsupervised loss and the cross entropy with the boxes, both of weight 1."""

    uses = frozenset({"boxes"})

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The sum as `loss`, and its two terms."""
        assert batch.boxes is not None  # declared
        correspondence, attention = self.attend(batch)
        supervised = losses.cross_entropy(attention, batch.boxes)
        return {"loss": correspondence + supervised, "correspondence": correspondence, "boxes": supervised}
