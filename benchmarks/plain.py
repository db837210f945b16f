"""The script that a user would write for what this product prepares, with nothing of this product in it: OpenCV seeks a
video's middle frame, an ffmpeg process gives its sound, OpenCV's selective search its boxes, the authors' loop the
map, librosa the spectrogram; one .npz a clip.

    python -m benchmarks.plain /folder/of/videos /folder/for/npz

Prints as JSON how many CPU seconds each part took. The other side of the comparisons in this folder.
"""

import io
import json
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import librosa
import numpy as np
import soundfile

SIDE, CELLS = 320, 20
K = 50
RATE = 22_050  # Hz
SECONDS = 20


def main() -> None:
    videos, out = Path(sys.argv[1]), Path(sys.argv[2])
    cv2.setNumThreads(1)
    spent: dict[str, float] = defaultdict(float)

    def timed(part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        start = cpu_s()
        made = function(*arguments)
        spent[part] += cpu_s() - start
        return made

    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(videos.glob("*.mp4")):
        frame = timed("extract", frame_of, path)
        waveform = timed("extract", sound_of, path)
        boxes = timed("propose", boxes_of, frame)
        bottom_up = timed("attend", map_of, boxes)
        logmel = timed("listen", logmel_of, waveform)
        keep = {"frame": frame, "waveform": waveform, "boxes": boxes, "map": bottom_up, "logmel": logmel}
        timed("writing", lambda path, keep: np.savez(out / f"{path.stem}.npz", **keep), path, keep)
    print(json.dumps({**spent, "all": cpu_s()}))


def cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def frame_of(path: Path) -> np.ndarray:
    """(S, S, 3) uint8 BGR: the middle frame by count."""
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    video.set(cv2.CAP_PROP_POS_FRAMES, video.get(cv2.CAP_PROP_FRAME_COUNT) // 2)
    _, frame = video.read()
    video.release()
    return cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def sound_of(path: Path) -> np.ndarray:
    """(T,) float32: the first seconds, mono, through a pipe, so that no file is written for it."""
    wanted = ["-vn", "-t", str(SECONDS), "-ac", "1", "-ar", str(RATE), "-f", "wav", "-"]
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), *wanted]
    wav = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return soundfile.read(io.BytesIO(wav), dtype="float32")[0]


def boxes_of(frame: np.ndarray) -> np.ndarray:
    """(r, 4) int32 x, y, w, h: OpenCV's fast mode, in its order."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(frame)
    search.switchToSelectiveSearchFast()
    return search.process()


def map_of(boxes: np.ndarray) -> np.ndarray:
    """(20, 20) float32: what the authors' loader does, a sum at the frame's size and then a resize."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for x, y, w, h in boxes[:K]:
        total[y : y + h, x : x + w] += 1 / K
    return cv2.resize(total, (CELLS, CELLS))


def logmel_of(waveform: np.ndarray) -> np.ndarray:
    """(64, T) float32 dB of the sound repeated to its 20 s."""
    n = SECONDS * RATE
    filled = np.tile(waveform, -(-n // len(waveform)))[:n]
    power = librosa.feature.melspectrogram(y=filled, sr=RATE, n_fft=1024, hop_length=512, n_mels=64)
    return librosa.power_to_db(power, amin=1e-10, top_db=None)


if __name__ == "__main__":
    main()
