"""Overlays: what a system saw, on the frame."""

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from model.upsampling import linear
from pipeline.foundation.manifest import Box

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Overlay:
    """One clip: its frame, its maps, the boxes of what is in it, and what was heard."""

    clip_id: str
    frame: NDArray[np.uint8]
    bottom_up: Map
    right: Map
    wrong: Map
    boxes: list[Box]
    label: str
    wrong_label: str


def draw(seen: Overlay) -> bytes:
    """A PNG of four panels: the frame with its boxes, the bottom-up map, the heat under the right and a wrong sound."""
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 4)
    size = seen.frame.shape[0]
    titles = [
        f"{seen.clip_id}",
        "bottom-up map",
        f"heard: {seen.label or 'its own sound'}",
        f"wrong sound: {seen.wrong_label or 'of another clip'}",
    ]
    for panel, title, heat in zip(panels, titles, (None, seen.bottom_up, seen.right, seen.wrong), strict=True):
        if heat is None:
            panel.imshow(seen.frame)
        else:  # grey, so that all colour is the map's
            panel.imshow(seen.frame.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            panel.imshow(linear(heat[None], size)[0], cmap="inferno", alpha=0.65)
        for box in seen.boxes if heat is None or title.startswith("heard") else []:
            corner = (box.x0 * size - 0.5, box.y0 * size - 0.5)
            width, height = (box.x1 - box.x0) * size, (box.y1 - box.y0) * size
            colour = "white" if box.sounding else "black"
            panel.add_patch(Rectangle(corner, width, height, fill=False, linewidth=1.8, edgecolor=colour))
        panel.set_title(title, fontsize=9, parse_math=False)  # a label may hold a dollar sign
        panel.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
