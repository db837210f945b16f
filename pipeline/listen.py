"""Stage `listen`: waveforms -> what the sound network is given, by the sound front end; or the source's own vectors.

Beside the clips' own sounds it writes those of silence and of noise, with which `evaluate` tries a system, where the
front end makes sounds from waveforms.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.foundation import hearing, probe_sounds, shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.errors import UserError
from pipeline.foundation.hearing import FrontEnd
from pipeline.foundation.params import Listen, Runtime
from pipeline.foundation.randomness import generator
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

VERSION = 2  # raise when the results change
WAVEFORMS, VECTORS, OUT = Path("data/waveforms"), Path("data/source/vectors.h5"), Path("data/sounds")


def main() -> None:
    with stage("listen") as params:
        listen(params.listen, WAVEFORMS, OUT, params.runtime)


def listen(settings: Listen, waveforms: Path, out: Path, runtime: Runtime) -> None:
    """Make what the sound network is given, of every clip with a waveform."""
    given = settings.features == "vectors"
    if given and not VECTORS.exists():
        raise UserError(
            "params.yaml: listen.features: 'vectors', but the source brought none (pairs: audio_scores.npz; "
            "flickr_soundnet: a .mat of each clip); accepted here: logmel, or a network with listen.weights"
        )
    paths = shards.shard_paths(waveforms)
    attributes = shards.Shard(paths[0]).attributes
    front_end = hearing.front_end_of(settings, int(attributes["sample_rate"]), float(attributes["seconds"]))
    weights = Path(settings.weights) if settings.weights is not None else None
    hearing.network_of(front_end, weights)  # fails here, once, where it cannot be had
    pieces = []
    for path in paths:
        shard = shards.Shard(path)
        parts = ["sounds", VERSION, front_end.plain, shard.checksum]
        if given:
            mark = shards.fingerprint(*parts, shards.Shard(VECTORS).checksum)
            pieces.append(Piece(path.name, mark, len(shard.clip_ids), vector_shard, (path, VECTORS, front_end)))
        else:
            mark = shards.fingerprint(*parts)
            pieces.append(Piece(path.name, mark, len(shard.clip_ids), sound_shard, (path, front_end, weights)))
    if not given:
        mark = shards.fingerprint("probes", VERSION, front_end.plain)
        pieces.append(Piece(probe_sounds.FILE, mark, 0, probe_shard, (front_end, weights)))
    folders = finish("listen", pieces, runtime)
    shards.publish({p.name: f / "sounds.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("listen: %s of %d clips -> %s", settings.features, sum(piece.clips for piece in pieces), out)


def sound_shard(folder: Path, waveforms: Path, front_end: FrontEnd, weights: Path | None) -> int:
    """Write what the front end makes of the waveforms of one shard."""
    shard = shards.Shard(waveforms)
    network = hearing.network_of(front_end, weights)
    made = []
    for clip_id in shard.clip_ids:
        waveform = shard.read(clip_id, "waveform")
        if not len(waveform):
            raise UserError(
                f"params.yaml: listen.features: {front_end.features!r}, but {clip_id} has no sound file, only a "
                "vector; accepted: vectors"
            )
        made.append(hearing.hear(waveform, front_end, network))
    _write(folder, shard.clip_ids, front_end, made)
    return 0


def vector_shard(folder: Path, waveforms: Path, vectors: Path, front_end: FrontEnd) -> int:
    """Write the source's own vectors of the clips of one shard."""
    clip_ids = shards.Shard(waveforms).clip_ids
    source = shards.Shard(vectors)
    _write(folder, clip_ids, front_end, [source.read(clip_id, "vector") for clip_id in clip_ids])
    return 0


def probe_shard(folder: Path, front_end: FrontEnd, weights: Path | None) -> int:
    """Write what the front end makes of silence and of white noise of standard deviation 1, as loud as VSSL-EVAL's."""
    network = hearing.network_of(front_end, weights)
    n_samples = round(front_end.sample_rate * front_end.seconds)
    noises = [generator(0, "noise", name).standard_normal(n_samples, np.float32) for name in probe_sounds.NOISES]
    made = [hearing.hear(sound, front_end, network) for sound in (np.zeros(n_samples, np.float32), *noises)]
    _write(folder, [probe_sounds.SILENCE, *probe_sounds.NOISES], front_end, made)
    return 0


def _write(folder: Path, clip_ids: list[str], front_end: FrontEnd, made: list[Any]) -> None:
    name = "logmel" if front_end.features == "logmel" else "vector"
    arrays = {name: np.stack(made) if made else np.zeros((0, 1), np.float32)}
    named = json.dumps(front_end.plain, sort_keys=True)
    shards.write(folder / "sounds.h5", "listen", clip_ids, arrays, front_end=named)


if __name__ == "__main__":
    main()
