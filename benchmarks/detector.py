"""What it takes to train a detector of params.yaml and to find its boxes, and how good it is.

    python -m benchmarks.detector faster_rcnn               # --epochs 10 40: other lengths than its own

Run it in the project's folder. Each length is trained anew in a folder of its own that holds nothing finished; then the
frames of its photographs are searched, as `detect` searches those of clips. Prints a table and writes
benchmarks/results/detector.json.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import Row, parser, told
from benchmarks.usage import timed
from pipeline.detector import make_detector
from pipeline.foundation.devices import device_of
from pipeline.foundation.params import Detector, Params, Runtime
from pipeline.foundation.params_file import load
from pipeline.foundation.photographs import PHOTOGRAPHS
from pipeline.foundation.shards import Shard
from pipeline.proposers import faster_rcnn

FRAMES = {"cpu": 64, "cuda": 512, "mps": 128}  # that are searched


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("name", help="of detectors in params.yaml")
    arguments.add_argument("--epochs", nargs="+", type=int, help="lengths to train; its own if none is named")
    chosen = arguments.parse_args()
    params = load()
    settings = absolute(params, chosen.name)
    lengths = chosen.epochs or [settings.epochs]
    rows = [measured(settings.model_copy(update={"epochs": n}), params.runtime) for n in lengths]
    print(told("detector", rows, chosen.results))


def absolute(params: Params, name: str) -> Detector:
    """The detector of an entry, its files named from anywhere."""
    found = params.detectors[name]
    is_file = found.weights not in (None, "coco")
    weights = str(Path(str(found.weights)).resolve()) if is_file else found.weights
    return found.model_copy(update={"root": str(Path(found.root).resolve()), "weights": weights})


def measured(settings: Detector, runtime: Runtime) -> Row:
    """Train once and search some frames."""
    device = device_of(runtime.device)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # .scratch is where a stage runs
        try:
            began = time.perf_counter()
            finished, cpu_s = timed(lambda: make_detector("measured", settings, runtime))
            train_s = time.perf_counter() - began
            frames = np.concatenate([Shard(path).read_all("frame") for path in sorted(Path().rglob(PHOTOGRAPHS))])
            model = faster_rcnn.load(finished, device)
            list(faster_rcnn.regions(frames[:1], model, device))  # compiles, and fills caches
            frames = frames[: FRAMES[device.type]]
            began = time.perf_counter()
            found = list(faster_rcnn.regions(frames, model, device))
            detect_s = time.perf_counter() - began
            metrics = json.loads((finished / "metrics.json").read_text())
        finally:
            os.chdir(before)
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "network": settings.network,
        "epochs": settings.epochs,
        "CPU s": cpu_s,
        "wall s": train_s,
        "mAP@0.5": metrics["map_50"],
        "n": metrics["n"],
        "frames a s": len(frames) / detect_s,
        "boxes a frame": np.mean([len(of_frame.box) for of_frame in found]).item(),
        "above .5": np.mean([(of_frame.score > 0.5).sum() for of_frame in found]).item(),
    }


if __name__ == "__main__":
    main()
