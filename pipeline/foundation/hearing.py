"""The sound front end: a waveform in, what the sound network is given out. Whoever hears a sound calls `hear`.

`listen` hears the clips and the probes through it, a checkpoint names it, and a new file is heard through the same.
torch is imported only where a network is asked for.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from model import spectrograms
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import digest
from pipeline.foundation.params import SOUNDNET_RATE, Features, Listen

Sound = NDArray[np.float32]
Network = Callable[[Sound], Sound]
FULL_SCALE = 32_767  # of a stored waveform


@dataclass(frozen=True)
class FrontEnd:
    """All that a sound's features follow from, beside the sound; no places.

    sample_rate: Hz, of the waveforms that it is given. seconds: how much of them is heard, from their start.
    peak:        what the loudest sample is brought to first; None: as it is.
    weights:     a hash of the network's file; None without a network.
    """

    features: Features
    sample_rate: int
    seconds: float
    peak: float | None
    weights: str | None

    @property
    def plain(self) -> dict[str, object]:
        """As plain values, for a fingerprint or a checkpoint."""
        return asdict(self)


def front_end_of(settings: Listen, sample_rate: int, seconds: float) -> FrontEnd:
    """The front end that params.yaml names, for waveforms of that rate and length."""
    weights = None
    if settings.weights is not None:
        path = Path(settings.weights)
        if not path.is_file():
            raise UserError(f"params.yaml: listen.weights: {path} does not exist; put the file there, or name another")
        weights = digest(path)
    return FrontEnd(settings.features, sample_rate, seconds, settings.peak, weights)


def network_of(front_end: FrontEnd, weights: Path | None) -> Network | None:
    """The front end's network from its file; None where it has none.

    Raises UserError where the file is another one, or holds no such network.
    """
    if front_end.weights is None:
        return None
    from pipeline.foundation import sound_networks  # noqa: PLC0415  imports torch

    assert weights is not None  # params.yaml names one with a network
    made = sound_networks.network(front_end.features, weights)
    if digest(weights) != front_end.weights:
        raise UserError(f"{weights}: not the weights that this checkpoint was trained with; name that file")
    return made


def hear(waveform: NDArray[np.int16] | Sound, front_end: FrontEnd, network: Network | None) -> NDArray[np.floating]:
    """What the sound network is given of a waveform.

    waveform: (T,), T at least 1, at the front end's rate: int16, or float of full scale 1. What is beyond `seconds` is
    not heard. Returns, by features:
    logmel            (64, columns) float16 decibels, of the waveform repeated in whole copies to `seconds`.
    soundnet          (1000,) float32, at 22 050 Hz, likewise repeated (Sec. 4.2).
    yamnet_scores     (521,) float32, yamnet_embedding (1024,): means over patches at 16 kHz, of the waveform as long as
                      it is; below .975 s repeated to that.

    The same bytes with any number of threads.
    """
    with threadpool_limits(1):  # BLAS may round a product otherwise with other numbers of threads
        return _heard(waveform, front_end, network)


def _heard(waveform: NDArray[np.int16] | Sound, front_end: FrontEnd, network: Network | None) -> NDArray[np.floating]:
    rate = front_end.sample_rate
    samples = waveform[: round(rate * front_end.seconds)].astype(np.float32)
    if waveform.dtype == np.int16:
        samples /= np.float32(FULL_SCALE)
    loudest = np.abs(samples).max()
    if front_end.peak is not None and loudest > 0:
        samples *= np.float32(front_end.peak / loudest)
    if front_end.features == "logmel":
        return spectrograms.decibels(filled(samples, round(rate * front_end.seconds)), rate)
    assert network is not None
    if front_end.features == "soundnet":
        samples = _resampled(samples, rate, SOUNDNET_RATE)
        return network(filled(samples, round(SOUNDNET_RATE * front_end.seconds)))
    samples = _resampled(samples, rate, spectrograms.YAMNET_RATE)
    return network(spectrograms.yamnet_patches(filled(samples, max(len(samples), spectrograms.SHORTEST))))


def filled(samples: Sound, n_samples: int) -> Sound:
    """Samples repeated in whole copies until they are long enough, then cut (Sec. 4.2)."""
    return np.tile(samples, -(-n_samples // len(samples)))[:n_samples]


def _resampled(samples: Sound, rate: int, wanted: int) -> Sound:
    return samples if rate == wanted else librosa.resample(samples, orig_sr=rate, target_sr=wanted)
