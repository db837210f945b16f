"""Stage `train`: shards -> checkpoint. One loop for every system (Sec. 3.3, 4.2).

Unfinished work lies in `.scratch/train/<fingerprint>.unfinished/`, one checkpoint after each epoch; a run that was
killed goes on there and ends with the same bytes (on a CPU).
"""

import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from model.batch import Batch
from model.system import System
from pipeline.foundation import checkpoints, manifest, shards
from pipeline.foundation.batches import Annotations, Augmentation, Clips, Folders
from pipeline.foundation.checkpoints import Card, Known
from pipeline.foundation.devices import device_of, precision_of
from pipeline.foundation.engines import SCRATCH, alone
from pipeline.foundation.errors import UserError
from pipeline.foundation.features import are_kept, kept_features
from pipeline.foundation.files import write_whole
from pipeline.foundation.params import Runtime, Train
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

VERSION = 3  # raise when the results change
SOURCE = Path("data/source")
FRAMES, SOUNDS, BOTTOM_UP = Path("data/frames"), Path("data/sounds"), Path("data/bottom_up")
MODEL, CURVE = Path("data/model"), Path("data/metrics/train.csv")
FEW, MANY = 0.1, 0.8  # shares of salient cells beyond which Eq. 11 tells hardly one cell from another
STATE = "epoch.pt"  # in an unfinished run's folder
FIT_BATCH = 64  # clips at a time, where nothing is learned batch by batch
Terms = dict[str, float]


def main() -> None:
    with stage("train") as params:
        finished = train(params.train, FRAMES, SOUNDS, BOTTOM_UP, params.runtime)
        shards.publish({name: finished / name for name in ("model.safetensors", "model.json")}, MODEL)
        write_whole(CURVE, (finished / CURVE.name).read_bytes())
        log.info("train: %s -> %s, %s", summary(finished, params.train), MODEL, CURVE)


def train(settings: Train, frames: Path, sounds: Path, bottom_up: Path, runtime: Runtime) -> Path:
    """Train a system, or find that it is trained already; returns the folder of its checkpoint and its curve.

    With no epoch it is the checkpoint of `init` that is given on, byte by byte, whatever clips there are to train on.
    """
    device = device_of(runtime.device)
    run = Run(settings, device, precision_of(settings.precision, device))
    checkpoints.can_hear(settings)
    features = None
    if settings.epochs and are_kept(settings):
        features = kept_features(checkpoints.frozen_network(settings), frames, runtime, device)
    folders = Folders(frames, sounds, bottom_up, features)
    uses = checkpoints.system_class(settings.system).uses
    train_split = manifest.read(SOURCE / "train")
    clips, val = (
        Clips([clip.clip_id for clip in split.clips], folders, device, Annotations.of(split, train_split, uses))
        for split in (train_split, manifest.read(SOURCE / "val"))
    )
    if settings.epochs and len(clips.clip_ids) < 2:
        told = f" with {' and '.join(sorted(uses))}, which {settings.system} is told" if uses else ""
        raise UserError(
            f"{SOURCE / 'train'}: {len(clips.clip_ids)} usable clips to train on{told}, and a system needs 2 to tell "
            "sounds apart; see data/rejected/rejected.csv, or lower source.val_share and source.test_share"
        )
    finished = SCRATCH / "train" / run.fingerprint(clips, val)
    first = None
    if not finished.exists() and (begins_with := _begins_with(settings)):
        log.info("train: %s begins with the networks of %s", settings.system, begins_with)
        first = train(settings.model_copy(update={"system": begins_with}), frames, sounds, bottom_up, runtime)
    with alone("training"):
        if not finished.exists():
            unfinished = finished.with_name(f"{finished.name}.unfinished")
            unfinished.mkdir(parents=True, exist_ok=True)
            if not settings.epochs:
                _give_on(settings, clips, unfinished)
            else:
                system = _untrained(settings, _known(settings, clips), first).to(run.device)
                system.half_networks = run.precision == "bfloat16"
                rows = _fit(system, clips) if system.is_fitted else _train(run, system, clips, val, unfinished)
                _leave(run, system, clips, rows, unfinished)
            unfinished.rename(finished)
    return finished


@dataclass(frozen=True)
class Run:
    """What a training run is, apart from its clips."""

    settings: Train
    device: torch.device
    precision: str

    def fingerprint(self, *sets: Clips) -> str:
        """The run's name in scratch, from all that its result follows from."""
        data = [[clips.clip_ids, *(store.checksum for store in clips.stores)] for clips in sets]
        settings = checkpoints.without_places(self.settings)
        return shards.fingerprint("train", VERSION, settings, self.device.type, self.precision, data)


def _give_on(settings: Train, clips: Clips, folder: Path) -> None:
    """Leave the checkpoint of `init` in `folder`, once it is known to fit, and a curve without an epoch."""
    assert settings.init is not None  # params.yaml has one with epochs 0
    checkpoints.begun_system(settings, _known(settings, clips))
    for name in checkpoints.FILES:
        write_whole(folder / name, (Path(settings.init) / name).read_bytes())
    manifest.write_rows(folder / CURVE.name, ("epoch", "loss", "val_loss"), [])


def _known(settings: Train, clips: Clips) -> Known:
    """What a system must know of the clips that it is trained on; only a new one is told of the sounds' statistics."""
    statistics = clips.sound_statistics() if settings.init is None and settings.epochs else (0.0, 1.0)
    return Known(clips.sound_size, statistics, clips.unit, clips.n_labels, clips.front_end)


def _begins_with(settings: Train) -> str | None:
    """The system that is trained first, for its networks; None where there is none, or none of them is untrained."""
    given = settings.init is not None or (settings.vision != "small" and settings.audio == "vectors")
    return None if given else checkpoints.system_class(settings.system).begins_with


def _untrained(settings: Train, known: Known, first: Path | None) -> System:
    """The system as it is before it is trained; `first` is the checkpoint whose networks it begins with."""
    torch.manual_seed(settings.seed)
    if settings.init is not None:
        return checkpoints.begun_system(settings, known)
    if first is not None:
        return checkpoints.system_with_networks_of(first, settings, known)
    return checkpoints.new_system(settings, known)


def _fit(system: System, clips: Clips) -> list[Terms]:
    """Solve a system that needs no epochs; it leaves no curve."""

    def batches() -> Iterator[Batch]:
        return (clips.batch(clip_ids) for clip_ids in clips.in_turn(FIT_BATCH))

    with torch.no_grad():
        try:
            system.eval().fit(batches)
        except ValueError as error:
            raise UserError(f"{SOURCE / 'train'}: {error}; train on other clips, or with other networks") from error
    return []


def _leave(run: Run, system: System, clips: Clips, rows: list[Terms], folder: Path) -> None:
    """Leave a trained system's checkpoint and curve in `folder`, and nothing that only resuming needs."""
    card = Card(
        checkpoints.without_places(run.settings),
        getattr(system.vision, "padding", None),
        clips.sound_size,
        clips.unit,
        len(clips.clip_ids),
        run.device.type,
        run.precision,
        clips.n_labels,
        clips.front_end,
    )
    checkpoints.save(folder, system, card)
    columns = rows[0] if rows else ("epoch", "loss", "val_loss")
    manifest.write_rows(folder / CURVE.name, columns, ([f"{v:.6g}" for v in row.values()] for row in rows))
    (folder / STATE).unlink(missing_ok=True)


def _train(run: Run, system: System, clips: Clips, val: Clips, folder: Path) -> list[Terms]:
    """Train from where `folder` left off; returns the curve, a row an epoch."""
    settings = run.settings
    _tell_share(system, clips, settings)
    optimizer = torch.optim.Adam([p for p in system.parameters() if p.requires_grad], lr=settings.lr)
    state = folder / STATE
    rows: list[Terms] = []
    if state.exists():
        saved = torch.load(state, map_location=run.device, weights_only=True)
        system.load_state_dict(saved["system"])
        optimizer.load_state_dict(saved["optimizer"])
        rows = saved["rows"]
    epochs = range(len(rows), settings.epochs)
    with tqdm(epochs, "train", settings.epochs, initial=len(rows), unit="epoch", disable=None) as progress:
        for epoch in progress:
            terms = _train_epoch(run, system, optimizer, clips, epoch)
            found = _val_terms(run, system, val)
            val_terms = {f"val_{name}": found.get(name, math.nan) for name in terms}
            rows.append({"epoch": epoch + 1, **terms, **val_terms})
            progress.set_postfix(
                {name: f"{value:.3f}" for name, value in (terms | val_terms).items() if "loss" in name}
            )
            _save_whole({"system": system.state_dict(), "optimizer": optimizer.state_dict(), "rows": rows}, state)
    return rows


def _train_epoch(run: Run, system: System, optimizer: torch.optim.Optimizer, clips: Clips, epoch: int) -> Terms:
    settings = run.settings
    augmentation = None if settings.augment == "none" else Augmentation(settings.augment, settings.seed, epoch)
    system.train()
    means = _Means()
    for clip_ids in clips.shuffled(settings.batch, settings.seed, epoch):
        negatives = clips.others_than(clip_ids, settings.seed, epoch) if system.wants_negatives else None
        batch = clips.batch(clip_ids, augmentation=augmentation, negatives_of=negatives)
        terms = system.loss(batch)
        if not torch.isfinite(terms["loss"]):
            raise UserError(
                f"train: the loss is {terms['loss'].item()} in epoch {epoch + 1} with the clips {', '.join(clip_ids)}; "
                "lower train.lr, or look at what they hold"
            )
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        means.add(terms, len(clip_ids))
    return means.values()


@torch.no_grad()
def _val_terms(run: Run, system: System, val: Clips) -> Terms:
    """The loss on val: nothing augmented, always the same batches and negatives; empty where there is no val."""
    system.eval()
    means = _Means()
    for clip_ids in val.in_turn(run.settings.batch):
        if len(val.clip_ids) > 1 and len(clip_ids) > 1:
            negatives = val.others_than(clip_ids, run.settings.seed, 0) if system.wants_negatives else None
            means.add(system.loss(val.batch(clip_ids, negatives_of=negatives)), len(clip_ids))
    return means.values()


class _Means:
    """Means of named terms over clips; fetched from the device once an epoch."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._n = 0

    def add(self, terms: dict[str, Tensor], n: int) -> None:
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach() * n
        self._n += n

    def values(self) -> Terms:
        return {name: float(value) / self._n for name, value in self._sums.items()}


def _tell_share(system: System, clips: Clips, settings: Train) -> None:
    """Warn where Eq. 10 marks so many or so few cells that Eq. 11 hardly guides."""
    if settings.alpha == 0:
        return
    marked = [system.salient(clips.batch(ids).bottom_up) for ids in clips.in_turn(256)]
    shares = [cells.float().mean(dim=(1, 2)) for cells in marked if cells is not None]
    if not shares:
        return
    share = float(torch.cat(shares).mean())
    if not FEW <= share <= MANY:
        key = "t" if settings.t is not None else "t_share"
        value = f"train.{key} = {getattr(settings, key):g}"
        log.warning("train: at %s, %.0f %% of the cells are salient: Eq. 11 hardly guides", value, 100 * share)


def _save_whole(content: dict[str, object], path: Path) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def summary(finished: Path, settings: Train) -> str:
    """One line on a finished run."""
    card = json.loads((finished / "model.json").read_text())
    system, epochs = card["train"]["system"], f"{card['train']['epochs']} epochs"
    is_fitted = checkpoints.system_class(system).is_fitted
    trained = f"{system} on {card['n_clips']} clips, {'solved' if is_fitted else epochs}"
    if settings.init is None:
        return trained
    return f"{trained}, from {settings.init}" if settings.epochs else f"{settings.init} as it is: {trained}"


if __name__ == "__main__":
    main()
