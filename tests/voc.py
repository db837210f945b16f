"""A tiny folder of boxed photographs in PASCAL VOC's layout: a red or a blue box on grey noise in each."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.foundation.params import Detector

COLOURS = {"blue": (40, 60, 230), "red": (230, 50, 40)}
SIDE = 64


def annotation(objects: list[tuple[str, tuple[int, int, int, int]]]) -> str:
    tags = ("xmin", "ymin", "xmax", "ymax")
    items = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, corners, strict=True))
        + "</bndbox></object>"
        for name, corners in objects
    )
    return f"<annotation><size><width>{SIDE}</width><height>{SIDE}</height></size>{items}</annotation>"


def write_picture(root: Path, name: str, picture: np.ndarray) -> None:
    assert cv2.imwrite(str(root / f"JPEGImages/{name}.jpg"), picture[..., ::-1])


def write(root: Path, n_train: int = 8, n_val: int = 4) -> Path:
    """Write p00, p01, ...; the first has no object, the second one that is as large as the photograph."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    names = [f"p{i:02d}" for i in range(n_train + n_val)]
    for i, name in enumerate(names):
        rng = np.random.default_rng(i)
        picture = np.clip(rng.normal(120, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        kind = list(COLOURS)[i % 2]
        x0, y0 = rng.integers(2, 30, 2).tolist()
        w, h = rng.integers(20, 32, 2).tolist()
        corners = (1, 1, SIDE, SIDE) if i == 1 else (x0 + 1, y0 + 1, x0 + w, y0 + h)
        if i > 0:
            picture[corners[1] - 1 : corners[3], corners[0] - 1 : corners[2]] = COLOURS[kind]
        write_picture(root, name, picture)
        (root / f"Annotations/{name}.xml").write_text(annotation([(kind, corners)] if i else []))
    (root / "ImageSets/Main/train.txt").write_text("\n".join(names[:n_train]))
    (root / "ImageSets/Main/val.txt").write_text("\n".join(names[n_train:]))
    return root


def settings(root: Path, **changes: object) -> Detector:
    """The parameters of a detector for such a folder."""
    values = {
        "root": str(root),
        "train_list": "ImageSets/Main/train.txt",
        "val_list": "ImageSets/Main/val.txt",
        "classes": None,
        "network": "small",
        "weights": None,
        "frame_size": SIDE,
        "augment": "flips",
        "epochs": 1,
        "batch": 4,
        "lr": 1e-3,
        "precision": "auto",
        "seed": 0,
    }
    return Detector.model_validate({**values, **changes})
