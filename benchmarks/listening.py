"""What each constant of the system that listens, and of the votes, is worth: one changed at a time.

    usol preset guided --root /path/to/pairs && dvc repro    # in the project's folder, first
    python -m benchmarks.listening

Scores are of evaluate.split: a constant that is chosen by them is chosen on these clips. Prints a table and writes
benchmarks/results/listening.json.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.results import Row, parser, told
from model import localization as loc
from model import voting
from model.batch import Batch
from model.protocols import PROTOCOLS
from model.systems import guided
from model.upsampling import Maps
from pipeline import evaluate, train
from pipeline.foundation import checkpoints, heat, manifest
from pipeline.foundation.batches import Clips, Folders
from pipeline.foundation.features import kept_features
from pipeline.foundation.params import Params
from pipeline.foundation.params_file import load
from pipeline.foundation.scores import CHUNK
from pipeline.foundation.truth import truth_of
from pipeline.foundation.voters import Voters

NAMES = ("adaptive", "lvs_top50", "half_max")
OF_SYSTEM: dict[str, Mapping[str, float]] = {
    "as it is": {},
    "no step 4": {"ROUNDS": 0},
    "step 4 twice": {"ROUNDS": 2},
    "step 4 to the first power": {"SHARPNESS": 1},
    "step 4 to the fourth power": {"SHARPNESS": 4},
    "not whitened": {"SHRINKAGE": 1000},
    "rho / 3": {"SHRINKAGE": guided.SHRINKAGE / 3},
    "rho * 3": {"SHRINKAGE": guided.SHRINKAGE * 3},
    "lambda / 10": {"RIDGE": guided.RIDGE / 10},
    "lambda * 3": {"RIDGE": guided.RIDGE * 3},
}
OF_VOTES: dict[str, Mapping[str, float]] = {
    "votes summed, temperature .05": {"NORM": 1, "TEMPERATURE": 0.05},
    "temperature / 2": {"TEMPERATURE": voting.TEMPERATURE / 2},
    "temperature * 2": {"TEMPERATURE": voting.TEMPERATURE * 2},
    "ring / 2": {"RING": voting.RING / 2},
    "ring * 2": {"RING": voting.RING * 2},
    "boxes of any size": {"SMALLEST": 0},
    "boxes of a twentieth and more": {"SMALLEST": 0.05},
}


def main() -> None:
    arguments = parser(__doc__).parse_args()
    print(told("listening", list(rows(load())), arguments.results))


def rows(params: Params) -> Iterator[Row]:
    """A row for each change of a constant."""
    for name, constants in OF_SYSTEM.items():
        with _changed(guided, constants):
            shown = _shown(params)
        if name == "as it is":
            as_it_is = shown
            yield {"what": "not voted", **_scored(shown, params, None)}
        yield {"what": name, **_scored(shown, params, shown.maps)}
    for name, constants in OF_VOTES.items():
        with _changed(voting, constants):
            yield {"what": name, **_scored(as_it_is, params, as_it_is.maps)}
    mixed = {sound: 0.9 * _scaled(maps) + 0.1 * _scaled(as_it_is.bottom_up) for sound, maps in as_it_is.maps.items()}
    yield {"what": "a tenth of the bottom-up map in what is voted on", **_scored(as_it_is, params, mixed)}


def _changed(module: object, constants: Mapping[str, float]) -> ExitStack:
    stack = ExitStack()
    for name, value in constants.items():
        stack.enter_context(patch.object(module, name, value))
    return stack


def _shown(params: Params) -> heat.Shown:
    """What the system shows of the evaluated split with the constants as they are now."""
    settings, device = params.train, torch.device("cpu")
    features = kept_features(checkpoints.frozen_network(settings), train.FRAMES, params.runtime, device)
    folders = Folders(train.FRAMES, train.SOUNDS, train.BOTTOM_UP, features)
    clips = Clips([clip.clip_id for clip in manifest.read(train.SOURCE / "train").clips], folders, device)
    known = checkpoints.Known(clips.sound_size, (0.0, 1.0), clips.unit)
    system = checkpoints.new_system(settings, known).eval()

    def batches() -> Iterator[Batch]:
        return (clips.batch(clip_ids) for clip_ids in clips.in_turn(train.FIT_BATCH))

    with torch.no_grad():
        system.fit(batches)
    shown = heat.show(system, manifest.read(train.SOURCE / params.evaluate.split), folders, device, "show")
    assert shown is not None  # the stages that ran before would have said so
    return shown


def _scored(shown: heat.Shown, params: Params, voted_on: Mapping[str, Maps] | None) -> Row:
    """Success rates, on hard clips, and what a wrong sound costs under the first protocol, in points."""
    regions: Path = evaluate.REGIONS / params.attend.proposer
    voters = Voters.of(shown.clips, regions, train.FRAMES)
    boxes = shown.split.boxes_of()
    truths = [truth_of(boxes[clip.clip_id]) for clip in shown.clips]
    known = np.flatnonzero([truth is not None for truth in truths])
    truth = np.stack([t for t in truths if t is not None])
    hard = np.array([shown.clips[row].hard for row in known])

    def success(sound: str, name: str) -> NDArray[np.bool_]:
        chosen = (shown.maps if voted_on is None else voted_on)[sound]
        draw = (lambda rows: chosen[rows]) if voted_on is None else (lambda rows: voters.vote(rows, chosen[rows]))
        return loc.per_clip(_ciou(draw, known, truth, name))[:, 0] == 1

    right = {name: success("right", name) for name in NAMES}
    wrong = success("wrong", NAMES[0])
    return {
        **{name: float(found.mean()) for name, found in right.items()},
        "hard": float(right[NAMES[0]][hard].mean()),
        "a wrong sound costs": 100 * float(right[NAMES[0]].mean() - wrong.mean()),
    }


def _ciou(
    draw: Callable[[NDArray[np.intp]], Maps], known: NDArray[np.intp], truth: Maps, name: str
) -> NDArray[np.float64]:
    found: Sequence[NDArray[np.float64]] = [
        loc.ciou(PROTOCOLS[name].masks(draw(known[i : i + CHUNK]), truth[i : i + CHUNK]), truth[i : i + CHUNK])
        for i in range(0, len(known), CHUNK)
    ]
    return np.concatenate(found)


def _scaled(maps: Maps) -> Maps:
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


if __name__ == "__main__":
    main()
