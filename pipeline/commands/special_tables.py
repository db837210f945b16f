"""What `usol tables` prints of masks, negatives, pictures with several sounds, and probes, where eval.json has them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tabulate import tabulate

SOUNDS = {"silence": "silence", "noise": "noise", "wrong_sound": "another clip's"}
BOUNDS = {
    "half": ".5",
    "own_median": "its own median",
    "own_adaptive": "its own, of the truth's size",
    "universal_q3": "universal, 3rd quartile",
    "universal_max": "universal, maximum",
}


def sections(figures: dict[str, Any]) -> list[str]:
    """The tables that there are, each with an empty line before it."""
    parts = [*_masks(figures), *_extended(figures), *_interactive(figures), *_probes(figures["probes"])]
    return [line for part in parts for line in ("", part)]


def _masks(figures: dict[str, Any]) -> Iterator[str]:
    if of_masks := figures.get("masks"):
        header = (f"IoU on {of_masks['n']} masks", "at least .2", ".3", ".5", "mean")
        names = ("iou_20", "iou_30", "iou_50", "mean_iou")
        yield as_table([[p, *(with_interval(v, n) for n in names)] for p, v in of_masks["method"].items() if v], header)


def _extended(figures: dict[str, Any]) -> Iterator[str]:
    if of_set := figures.get("extended"):
        head = f"{of_set['n_positive']} positives, {of_set['n_negative']} negatives"
        names = ("ap", "ap_exact", "max_f1", "max_f1_exact", "loc_acc")
        rows = [[p, *(f"{v[n]:.3f}" for n in names)] for p, v in of_set.items() if isinstance(v, dict)]
        yield as_table(rows, (head, "AP", "AP, exact", "max-F1", "max-F1, exact", "LocAcc"))


def _interactive(figures: dict[str, Any]) -> Iterator[str]:
    if of_pictures := figures.get("interactive"):
        head = f"{of_pictures['n_pictures']} pictures with several sounds"
        names = ("iiou", "iauc", "mean_ciou")
        rows = [[p, *(with_interval(v, n) for n in names)] for p, v in of_pictures.items() if isinstance(v, dict)]
        yield as_table(rows, (head, "IIoU", "IAUC", "mean of the worst"))


def _probes(probes: dict[str, Any]) -> Iterator[str]:
    made = {sound: probes[sound] for sound in SOUNDS if probes[sound]}
    if not made:
        return
    bounds = [name for name in BOUNDS if any(of_sound.get(name) for of_sound in made.values())]
    rows = [
        [BOUNDS[name], *(f"{100 * of[name]['lit']:.0f} %" if of.get(name) else "" for of in made.values())]
        for name in bounds
    ]
    told = as_table(rows, ("lit above a threshold", *(SOUNDS[sound] for sound in made)))
    if of_f := probes["f"]:
        told += f"\n(at the 3rd quartile: mean cIoU {of_f['mean_ciou']:.3f} under its own sound, F {of_f['f']:.3f})"
    yield told


def with_interval(values: dict[str, Any], name: str) -> str:
    """A figure with its interval."""
    return f"{values[name]:.3f} [{values[f'{name}_low']:.2f}, {values[f'{name}_high']:.2f}]"


def as_table(rows: Iterable[Sequence[str]], header: Sequence[str]) -> str:
    """Rows of text under a header."""
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True)
