"""Sounds that no clip makes: silence and noise, which `listen` writes beside the clips' own and `evaluate` plays.

`probes.h5` in data/sounds is a shard of the sounds `silence` and `noise-00` ... in the form of the clips' own. It is
there where the front end makes sounds from waveforms; vectors that a source brings have no silence.
"""

from pathlib import Path

from pipeline.foundation.randomness import whole
from pipeline.foundation.shards import Shard

FILE = "probes.h5"
SILENCE = "silence"
NOISES = tuple(f"noise-{i:02d}" for i in range(16))


def noise_for(clip_id: str) -> str:
    """The noise that is played to a clip: always the same, whichever clips are beside it."""
    return NOISES[whole(0, "noise", clip_id) % len(NOISES)]


def probes_of(sounds: Path) -> Shard | None:
    """The probes beside the sounds of this folder; None where the front end can make none."""
    path = sounds / FILE
    return Shard(path) if path.exists() else None
