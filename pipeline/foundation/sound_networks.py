"""The frozen networks that `listen` may hear through: a file of weights -> a function of one sound.

A file is checked and converted once, to safetensors in scratch, under the hash of its content.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from model.networks.soundnet import SoundNet
from model.networks.yamnet import YAMNet
from pipeline.foundation import weights
from pipeline.foundation.devices import cpu_threads
from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import digest, write_whole

Sound = NDArray[np.float32]
KINDS: dict[str, type[SoundNet] | type[YAMNet]] = {
    "soundnet": SoundNet,
    "yamnet_scores": YAMNet,
    "yamnet_embedding": YAMNet,
}


def network(features: str, path: Path) -> Callable[[Sound], Sound]:
    """A function of what `hearing` prepared of one sound; its result does not hang on other sounds or on threads.

    soundnet: (T,) samples -> (1000,). yamnet_scores, yamnet_embedding: (P, 96, 64) patches -> (521,), (1024,).
    Raises UserError where the file holds no such network.
    """
    made = KINDS[features]()
    made.load_state_dict(load_file(_converted(features, path)))
    made.eval()

    def heard(sound: Sound) -> Sound:
        with torch.inference_mode(), cpu_threads(1):
            given = torch.from_numpy(sound)
            if isinstance(made, SoundNet):
                return made.vector(given[None])[0].numpy()
            return made(given)[0 if features == "yamnet_scores" else 1].mean(dim=0).numpy()

    return heard


def _converted(features: str, path: Path) -> Path:
    """The file as a state dict of ours, made where it is not there yet."""
    kind = KINDS[features]
    place = f"params.yaml: listen.weights: {path}"
    if not path.is_file():
        raise UserError(f"{place} does not exist; put the file there, or name another")
    made = SCRATCH / "weights" / f"{kind.__name__}-{digest(path)[:32]}.safetensors"
    if not made.exists():
        read: dict[str, Any] = weights.read(path, place)
        try:
            state = kind.from_weights(read).state_dict()
        except ValueError as error:
            raise UserError(f"{place} is no {kind.__name__} ({error})") from error
        write_whole(made, save_tensors(state))
    return made
