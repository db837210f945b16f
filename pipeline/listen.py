"""Stage `listen`: waveforms -> what the sound network is given: a log-mel spectrogram, or the source's own vector.

Beside log-mel spectrograms it writes those of silence and of noise, with which `evaluate` tries a system.
"""

import logging
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from pipeline.foundation import probe_sounds, shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Listen, Runtime
from pipeline.foundation.randomness import generator
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
WAVEFORMS, VECTORS, OUT = Path("data/waveforms"), Path("data/source/vectors.h5"), Path("data/sounds")
N_MELS = 64
N_FFT = 1024  # samples: 46 ms at 22 050 Hz
HOP = 512  # samples: 43 columns a second at 22 050 Hz
FLOOR = 1e-10  # power: -100 dB


def main() -> None:
    with stage("listen") as params:
        listen(params.listen, WAVEFORMS, OUT, params.runtime)


def listen(settings: Listen, waveforms: Path, out: Path, runtime: Runtime) -> None:
    """Make what the sound network is given, of every clip with a waveform."""
    if settings.features == "vectors" and not VECTORS.exists():
        raise UserError(
            "params.yaml: listen.features: 'vectors', but the source brought none (pairs: audio_scores.npz; "
            "flickr_soundnet: a .mat of each clip); accepted here: logmel"
        )
    pieces = []
    for path in shards.shard_paths(waveforms):
        shard = shards.Shard(path)
        if settings.features == "logmel":
            mark = shards.fingerprint("logmel", VERSION, shard.checksum)
            pieces.append(Piece(path.name, mark, len(shard.clip_ids), logmel_shard, (path,)))
        else:
            mark = shards.fingerprint("vectors", VERSION, shard.checksum, shards.Shard(VECTORS).checksum)
            pieces.append(Piece(path.name, mark, len(shard.clip_ids), vector_shard, (path, VECTORS)))
    if settings.features == "logmel":
        length = int(shard.attributes["sample_rate"]), float(shard.attributes["seconds"])
        pieces.append(Piece(probe_sounds.FILE, shards.fingerprint("probes", VERSION, length), 0, probe_shard, length))
    folders = finish("listen", pieces, runtime)
    shards.publish({p.name: f / "sounds.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("listen: %s of %d clips -> %s", settings.features, sum(piece.clips for piece in pieces), out)


def logmel_shard(folder: Path, waveforms: Path) -> int:
    """Write the log-mel spectrograms of the waveforms of one shard."""
    shard = shards.Shard(waveforms)
    rate, seconds = int(shard.attributes["sample_rate"]), float(shard.attributes["seconds"])
    made = []
    for clip_id in shard.clip_ids:
        waveform = shard.read(clip_id, "waveform")
        if not len(waveform):
            raise UserError(
                f"params.yaml: listen.features: 'logmel', but {clip_id} has no sound file, only a vector; "
                "accepted: vectors"
            )
        made.append(logmel(filled(waveform, round(rate * seconds)), rate))
    arrays = {"logmel": np.stack(made) if made else np.zeros((0, N_MELS, 1), np.float16)}
    shards.write(folder / "sounds.h5", "listen", shard.clip_ids, arrays)
    return 0


def vector_shard(folder: Path, waveforms: Path, vectors: Path) -> int:
    """Write the source's own vectors of the clips of one shard."""
    clip_ids = shards.Shard(waveforms).clip_ids
    source = shards.Shard(vectors)
    made = [source.read(clip_id, "vector") for clip_id in clip_ids]
    arrays = {"vector": np.stack(made) if made else np.zeros((0, 1), np.float32)}
    shards.write(folder / "sounds.h5", "listen", clip_ids, arrays)
    return 0


def probe_shard(folder: Path, sample_rate: int, seconds: float) -> int:
    """Write the log-mel spectrograms of silence and of white noise of standard deviation 1, as loud as VSSL-EVAL's."""
    n_samples = round(sample_rate * seconds)
    noises = [generator(0, "noise", name).standard_normal(n_samples, np.float32) for name in probe_sounds.NOISES]
    made = [decibels(sound, sample_rate) for sound in (np.zeros(n_samples, np.float32), *noises)]
    shards.write(
        folder / "sounds.h5", "listen", [probe_sounds.SILENCE, *probe_sounds.NOISES], {"logmel": np.stack(made)}
    )
    return 0


def filled(waveform: NDArray[np.int16], n_samples: int) -> NDArray[np.int16]:
    """A waveform repeated in whole copies until it is long enough, then cut (Sec. 4.2)."""
    return np.tile(waveform, -(-n_samples // len(waveform)))[:n_samples]


def logmel(waveform: NDArray[np.int16], sample_rate: int) -> NDArray[np.float16]:
    """The log-mel spectrogram of a waveform.

    waveform: (T,) int16. Returns (64, 1 + T // 512) float16: dB of the power of a full-scale signal, -100 and up.
    """
    return decibels(waveform.astype(np.float32) / 32767, sample_rate)


def decibels(samples: NDArray[np.floating], sample_rate: int) -> NDArray[np.float16]:
    """The same of samples whose full scale is 1."""
    power = librosa.feature.melspectrogram(y=samples, sr=sample_rate, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
    return librosa.power_to_db(power, ref=1.0, amin=FLOOR, top_db=None).astype(np.float16)


if __name__ == "__main__":
    main()
