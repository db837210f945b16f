"""Stage `detector@NAME`: boxed photographs -> a trained Faster R-CNN (Sec. 3.1, "Supervised Setting").

Unfinished work lies in `.scratch/detector/<fingerprint>.unfinished/`, one checkpoint after each epoch; a run that was
killed goes on there and ends with the same bytes (on a CPU). The photographs, brought to the frame's size as `extract`
brings frames, lie in `.scratch/photographs/`. The last epoch is kept: no choice is made on val.
"""

import io
import json
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from model import detection
from model.average_precision import Boxes, average_precision
from model.vision import MobileNetV2
from pipeline.foundation import detectors, manifest, shards
from pipeline.foundation.detectors import Begun, Card
from pipeline.foundation.devices import device_of, precision_of
from pipeline.foundation.engines import SCRATCH, alone
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import write_whole
from pipeline.foundation.manifest import Rejection
from pipeline.foundation.params import Detector, Runtime
from pipeline.foundation.params_file import PARAMS_FILE
from pipeline.foundation.photographs import Augmentation, Photographs, frames_on
from pipeline.foundation.randomness import whole
from pipeline.foundation.stages import stage
from pipeline.sources import voc, voc_photographs

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
DETECTORS, METRICS = Path("data/detectors"), Path("data/metrics")
WARM_UP = 100  # steps over which the learning rate rises; it then falls to 0 along a cosine
PRETRAINED_LR = 0.1  # of the learning rate, for a visual network that is trained already
WEIGHT_DECAY, MOST_GRADIENT = 1e-4, 10.0
IOU = 0.5  # of the average precision


def main() -> None:
    name = sys.argv[1]
    with stage(f"detector-{name}") as params:
        finished = make_detector(name, params.detectors[name], params.runtime)
        files = (*detectors.FILES, "rejected.csv")
        shards.publish({file: finished / file for file in files}, DETECTORS / name)
        metrics = (finished / "metrics.json").read_bytes()
        write_whole(METRICS / f"detector_{name}.json", metrics)
        log.info("detector: %s, mAP@0.5 %s -> %s", name, json.loads(metrics)["map_50"], DETECTORS / name)


def make_detector(name: str, settings: Detector, runtime: Runtime) -> Path:
    """Train a detector, or find that it is trained already; returns the folder of its files and its metrics.

    Raises UserError where there is nothing to train on, or train and val share a photograph.
    """
    place = f"{PARAMS_FILE}: detectors.{name}"
    root = Path(settings.root)
    lists = _lists(root, settings)
    names = {split: of_split for split, (of_split, _) in lists.items()}
    if shared := sorted(set(names["train"]) & set(names["val"])):
        raise UserError(
            f"{place}: {len(shared)} photographs are in both lists, {shared[0]} first; "
            "take them out of train_list or of val_list"
        )
    device = device_of(runtime.device)
    if device.type == "cuda":
        # No kernel of roi_align's gradient is deterministic there, and torchvision's way round it compiles for minutes.
        torch.use_deterministic_algorithms(False)
    classes = settings.classes
    if classes is None and settings.epochs:
        classes = voc.classes_of(root, names["train"])
        if not classes:
            raise UserError(f"{place}: no photograph of {root / str(settings.train_list)} has a box that can be used")
    torch.manual_seed(settings.seed)
    begun = detectors.begin(settings, place, classes)
    labels = detectors.labels_of(begun.classes)
    folders = {
        split: voc_photographs.pieces(root, names[split], labels, settings.frame_size, runtime) for split in names
    }
    sets = {split: Photographs(folders[split]) for split in names}
    if settings.epochs and not sets["train"].names:
        raise UserError(
            f"{place}: none of the {len(names['train'])} photographs to train on can be used: {_why(folders)}"
        )
    run = Run(settings, begun, device, precision_of(settings.precision, device))
    data = [sets[split].checksums for split in ("train", "val")]
    plain = detectors.without_places(settings, place)
    finished = (
        SCRATCH
        / "detector"
        / shards.fingerprint("detector", VERSION, plain, begun.classes, device.type, run.precision, data)
    )
    with alone("training"):
        if not finished.exists():
            unfinished = finished.with_name(f"{finished.name}.unfinished")
            unfinished.mkdir(parents=True, exist_ok=True)
            _train(run, sets["train"], unfinished)
            rejections = [r for _, of_list in lists.values() for r in of_list]
            rejections += [r for split in names for folder in folders[split] for r in manifest.read_rejected(folder)]
            manifest.write_rejected(unfinished, rejections)
            card = Card(
                plain,
                begun.classes,
                begun.padding,
                begun.has_fixed_norms,
                len(sets["train"].names),
                device.type,
                run.precision,
            )
            detectors.save(unfinished, begun.model, card)
            _write_metrics(run, sets, len(rejections), unfinished / "metrics.json")
            unfinished.rename(finished)
    return finished


def _lists(root: Path, settings: Detector) -> dict[str, tuple[list[str], list[Rejection]]]:
    named = {"train": settings.train_list if settings.epochs else None, "val": settings.val_list}
    return {split: voc.read_list(root, path) if path else ([], []) for split, path in named.items()}


def _why(folders: dict[str, list[Path]]) -> str:
    first = next(iter(manifest.read_rejected(folders["train"][0])))
    return f"{first.path}: {first.reason}; mend them, or name another root"


@dataclass(frozen=True)
class Run:
    """What a training run is, apart from its photographs."""

    settings: Detector
    begun: Begun
    device: torch.device
    precision: str


def _train(run: Run, photographs: Photographs, folder: Path) -> None:
    """Train the run's detector from where `folder` left off."""
    settings = run.settings
    model = run.begun.model.to(run.device)
    optimizer = torch.optim.AdamW(_parameters(run), weight_decay=WEIGHT_DECAY, fused=run.device.type != "mps")
    full = [group["lr"] for group in optimizer.param_groups]
    state = folder / "epoch.pt"
    done = 0
    if state.exists():
        saved = torch.load(state, map_location=run.device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["epochs"]
    n_steps = math.ceil(len(photographs.names) / settings.batch)
    epochs = range(done, settings.epochs)
    with tqdm(epochs, "detector", settings.epochs, initial=done, unit="epoch", disable=None) as progress:
        for epoch in progress:
            torch.manual_seed(whole(settings.seed, "detector", epoch))  # it draws which proposals are learned from
            means = torch.zeros(())
            for i, (names, loss) in enumerate(_losses(run, photographs, epoch)):
                if not torch.isfinite(loss):
                    raise UserError(
                        f"detector: the loss is {loss.item()} in epoch {epoch + 1} with the photographs "
                        f"{', '.join(names)}; lower its lr, or look at them"
                    )
                rate = _rate(epoch * n_steps + i, settings.epochs * n_steps)
                for group, at_full in zip(optimizer.param_groups, full, strict=True):
                    group["lr"] = at_full * rate
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), MOST_GRADIENT)
                optimizer.step()
                means = means + loss.detach().cpu() / n_steps
            progress.set_postfix(loss=f"{means.item():.3f}")
            _save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epoch + 1}, state)
    state.unlink(missing_ok=True)


def _parameters(run: Run) -> list[dict[str, object]]:
    """What is trained, and how fast: a pretrained visual network slower, and its first blocks not at all."""
    model, settings = run.begun.model, run.settings
    pretrained = list(model.backbone.parameters()) if settings.weights else []
    if isinstance(vision := getattr(model.backbone, "vision", None), MobileNetV2) and settings.weights:
        pretrained = list(vision.parameters())
        for block in vision.features[: detection.FINE_TUNED_FROM]:
            block.requires_grad_(False)
    slow = {id(parameter) for parameter in pretrained}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if id(p) not in slow], "lr": settings.lr},
        {"params": [p for p in trained if id(p) in slow], "lr": settings.lr * PRETRAINED_LR},
    ]


def _rate(step: int, n_steps: int) -> float:
    """The share of the learning rate at a step."""
    warm_up = min(WARM_UP, n_steps // 10 + 1)
    if step < warm_up:
        return (step + 1) / warm_up
    return (1 + math.cos(math.pi * (step - warm_up) / max(n_steps - warm_up, 1))) / 2


def _losses(run: Run, photographs: Photographs, epoch: int) -> Iterator[tuple[list[str], Tensor]]:
    """The loss of each batch of an epoch: the sum of the four of Ren et al. 2015."""
    augmentation = Augmentation(run.settings.augment, run.settings.seed, epoch)
    model = run.begun.model.train()
    for names in photographs.shuffled(run.settings.batch, run.settings.seed, epoch):
        frames, truths, colours = zip(*(augmentation(name, *photographs.read(name)) for name in names), strict=True)
        targets = [
            {
                "boxes": torch.from_numpy(truth.box).to(run.device),
                "labels": torch.from_numpy(truth.label).to(run.device),
            }
            for truth in truths
        ]
        with detection.half_backbone(model, run.precision == "bfloat16"):
            terms = model(list(frames_on(run.device, frames, colours)), targets)
        yield names, sum(terms.values(), start=torch.zeros((), device=run.device))


@torch.inference_mode()
def _write_metrics(run: Run, sets: dict[str, Photographs], n_rejected: int, path: Path) -> None:
    """Average precision on val, where there is one; nothing that changes from run to run."""
    val = sets["val"]
    truth, found = [], []
    model = run.begun.model.to(run.device)
    for names in val.in_turn(run.settings.batch):
        read = [val.read(name) for name in names]
        truth += [Boxes(t.box, t.label, difficult=t.difficult) for _, t in read]
        for of_frame in detection.detections(model, frames_on(run.device, [frame for frame, _ in read])):
            found.append(Boxes(*(t.cpu().numpy() for t in (of_frame.box, of_frame.label, of_frame.score))))
    by_class = average_precision(truth, found, len(run.begun.classes), IOU) if truth else np.array([])
    known = {
        name: round(float(ap), 6) for name, ap in zip(run.begun.classes, by_class, strict=False) if not math.isnan(ap)
    }
    metrics = {
        "map_50": round(float(np.mean(list(known.values()))), 6) if known else None,
        "by_class": known,
        "n": len(val.names),
        "n_train": len(sets["train"].names),
        "n_rejected": n_rejected,
        "epochs": run.settings.epochs,
        "network": run.settings.network,
        "device": run.device.type,
        "precision": run.precision,
    }
    write_whole(path, json.dumps(metrics, indent=2) + "\n")


def _save(content: dict[str, object], path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


if __name__ == "__main__":
    main()
