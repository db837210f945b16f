"""USOL (Shi & Ma, WACV 2022): top-down attention that a bottom-up map keeps out of what nothing proposed.

Three forms of L_av (`correspondence`):

as_written     Sec. 3.2, 3.3 to the letter: one random negative sound, f_v of the positive sound's attention. The
               softmax is "as suggested in [29]" (Senocak et al. 2018), who rectify the cosine first: so is it here.
as_coded       the authors' code where it differs: mean of squares for Eq. 6; ReLU also on z and on what the layers of
               h are given (f_a itself stays signed in the distance).
own_attention  the departure that learns to listen from a few hundred clips. Its softmax is of the plain cosine.
               (1) No heads: f_v = z / |z|, f_a = h / |h|, the vectors of Eq. 3 and 4 themselves. (2) Distances are
               divided by `distance_temperature` before their softmax. (3) Negatives are all other sounds and all other
               frames of the batch. (4) Each pair has its own attention: to the letter, f_v carries the positive sound's
               attention into the negative pair, and can be told from the negative sound without looking at anything.

Three forms of L_att (`loss`): negative is Eq. 11; soft and hard are the cross entropies of Eq. 8 and 9 (Table 4).
What is rectified follows from the form (`RECTIFIED`), or is said apart (`rectified`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import losses, top_down
from model.batch import Batch
from model.network import Network
from model.system import System

Form = Literal["own_attention", "as_written", "as_coded"]
Rectifiable = Literal["cosine", "z", "f_a"]  # what stands before the softmax of Eq. 3; z of Eq. 4; what h is made of
RECTIFIED: dict[Form, list[Rectifiable]] = {
    "own_attention": [],
    "as_written": ["cosine"],  # [29]
    "as_coded": ["cosine", "z", "f_a"],
}


@dataclass(frozen=True)
class Settings:
    """What a training run may choose (Sec. 4.2); `unit` comes with the maps (`bottom_up.count_unit`)."""

    correspondence: Form
    loss: Literal["negative", "soft", "hard"]
    alpha: float
    t: float | None
    t_share: float | None
    temperature: float
    distance_temperature: float
    unit: float
    rectified: list[Rectifiable] | None = None  # None: as RECTIFIED has it for the form


class Usol(System):
    """The network of Sec. 3.2 with the loss of Sec. 3.3."""

    settings_class = Settings
    settings: Settings

    def __init__(self, vision: Network, audio: Network, settings: Settings) -> None:
        super().__init__(vision, audio, settings)
        c, d = vision.channels, audio.channels
        self.to_h = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, c))
        self.to_f_v: nn.Module | None = None
        if settings.correspondence != "own_attention":
            self.to_f_v = nn.Sequential(nn.Linear(c, c), nn.ReLU(), nn.Linear(c, d))

    @property
    def wants_negatives(self) -> bool:
        """Whether a batch must bring the sound of another clip for each of its own."""
        return self.settings.correspondence != "own_attention"

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """A_top of Eq. 3 (B, h, w), in [-1, 1]; `features` where the visual network has already seen the frames.

        Before its softmax: which cells are above half of the maximum should not depend on a temperature.
        """
        return top_down.similarity(self.see(frames, features), self._h(self.hear(sounds)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 12 as `loss`, and its two terms; `salient` is the share of cells that Eq. 10 marks, if it marks any."""
        features = self.see(batch.frames, batch.features)  # (B, C, h, w)
        f_a = self.hear(batch.sounds)  # (B, D)
        if batch.negative_sounds is None:
            l_av, a_top = self._own_attention(features, f_a)
        else:
            l_av, a_top = self._triplet(features, f_a, self.hear(batch.negative_sounds))
        salient = self.salient(batch.bottom_up)
        l_att = self._guidance(a_top, batch.bottom_up, salient)
        total = l_av + self.settings.alpha * l_att  # Eq. 12
        marked = {} if salient is None else {"salient": salient.float().mean()}
        return {"loss": total, "correspondence": l_av, "attention": l_att, **marked}

    def _guidance(self, a_top: Tensor, bottom_up: Tensor, salient: Tensor | None) -> Tensor:
        """L_att."""
        if salient is None:
            return losses.soft_label(a_top, bottom_up)
        return (losses.hard_label if self.settings.loss == "hard" else losses.inconspicuous)(a_top, salient)

    def salient(self, bottom_up: Tensor) -> Tensor | None:
        """Eq. 10; Eq. 8 marks no cells."""
        if self.settings.loss == "soft":
            return None
        t, t_share = self.settings.t, self.settings.t_share
        if t is not None:
            return losses.salient(bottom_up, t, self.settings.unit)
        assert t_share is not None  # params.yaml has exactly one of the two
        return losses.salient_share(bottom_up, t_share)

    def _triplet(self, features: Tensor, f_a: Tensor, f_a_negative: Tensor) -> tuple[Tensor, Tensor]:
        a_top = self._attention(top_down.similarity(features, self._h(f_a)))
        coded = self.settings.correspondence == "as_coded"
        assert self.to_f_v is not None
        f_v = self.to_f_v(self._rectified("z", top_down.attended(features, a_top)))
        d_pos, d_neg = losses.distance(f_v, f_a), losses.distance(f_v, f_a_negative)
        return (losses.correspondence_as_coded if coded else losses.correspondence)(d_pos, d_neg), a_top

    def _own_attention(self, features: Tensor, f_a: Tensor) -> tuple[Tensor, Tensor]:
        h = self._h(f_a)
        a_top = self._attention(top_down.similarity_of_all(features, h))  # (B, B, h, w)
        f_v = F.normalize(self._rectified("z", top_down.attended(features, a_top)), dim=-1)  # (B, B, C)
        distances = losses.distance(f_v, F.normalize(h, dim=-1)[None])  # (B, B)
        own = torch.arange(len(f_a), device=f_a.device)
        return losses.correspondence_of_all(distances, self.settings.distance_temperature), a_top[own, own]

    def _h(self, f_a: Tensor) -> Tensor:
        return self.to_h(self._rectified("f_a", f_a))

    def _attention(self, similarity: Tensor) -> Tensor:
        return top_down.attention(self._rectified("cosine", similarity), self.settings.temperature)

    def _rectified(self, what: Rectifiable, values: Tensor) -> Tensor:
        chosen = self.settings.rectified
        if chosen is None:
            chosen = RECTIFIED[self.settings.correspondence]
        return F.relu(values) if what in chosen else values
