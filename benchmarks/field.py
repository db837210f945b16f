"""The field's own figures again, from its own annotations: what needs neither picture nor sound to be scored.

    python -m benchmarks.field --annotations FOLDER      # the lists and boxes of the field, one folder a repository

`known` was measured apart from this code on the same files, with the truth by LVS's rule; cIoU and AUC in percent.
Prints a table and writes benchmarks/results/field.json.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.results import Row, told
from model import localization as loc
from model.baselines import centre_map, oracle_map
from model.protocols import PROTOCOLS, Masks
from model.truth import Corners, box_mask, consensus_map, union_map
from model.upsampling import SIZE, Maps
from pipeline.foundation.manifest import Box
from pipeline.sources import flickr_soundnet, vggss
from pipeline.sources.lists import ids_of

FLICKR_BOXES = "derived/flickr_soundnet_boxes_2786.csv.gz"
FLICKR_TEST = "ardasnck__learning_to_localize_sound_source/test_list.txt"
MISSPELT = "3908875350"  # in that list, so that the field evaluates 249
VGG_SS = "hche11__Localizing-Visual-Sounds-the-Hard-Way/metadata/vggss.json"
SIGMA = 64  # pixels of 224
Boxes = Sequence[Corners]
Predictor = Callable[[Maps], Masks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    print(told("field", list(rows(parser.parse_args().annotations))))


def rows(annotations: Path) -> Iterator[Row]:
    """Every figure, beside what is known of it."""
    boxes = flickr_boxes(annotations)
    of_249 = [of_item for item, of_item in boxes.items() if item != MISSPELT]
    without = [consensus_map([[box] for box in of_item]) for of_item in of_249]
    all_250 = [*without, consensus_map([[box] for box in boxes[MISSPELT]])]
    yield from _rows("Flickr-SoundNet", without, _predictors(), FLICKR)
    yield from _rows("Flickr-SoundNet", all_250, {name: _predictors()[name] for name in FLICKR_250}, FLICKR_250)
    yield from _rows("VGG-SS", vggss_truths(annotations), _predictors(), VGGSS)
    yield from _rows("Flickr-SoundNet", without, _of_one_map(), GAUSSIAN)
    yield _one_against_two([of_item for of_item in of_249 if len(of_item) == 3])


Known = Mapping[str, tuple[float, float | None] | None]
FLICKR: Known = {
    "full frame": (48.2, 48.9),
    # Measured with half the pixels; `>` leaves out those that tie at the median.
    "centred disc, lvs_top50": (67.5, 54.3),
    "centred disc, ez_top50": (67.5, 54.3),
    "centred disc, adaptive": (77.5, 58.9),
    "centred disc, adaptive_strict": (77.5, 58.9),
    "oracle, ez_top50": (94.4, 80.4),
}
FLICKR_250: Known = {"full frame": None, "centred disc, ez_top50": None, "centred disc, adaptive": None}
VGGSS: Known = {
    "full frame": (21.9, 31.3),
    "centred disc, lvs_top50": (34.0, 37.4),
    "centred disc, ez_top50": (34.0, 37.4),
    "centred disc, adaptive": (43.7, 42.9),
    "centred disc, adaptive_strict": (43.7, 42.9),
    "oracle, ez_top50": (50.5, 49.5),
}
GAUSSIAN: Known = {
    "Gaussian, lvs_top50": (67.5, 54.3),
    "Gaussian, adaptive_strict": (77.5, 58.9),
    "Gaussian, half_max": (45.4, 47.3),
    "Gaussian, max_fraction": (51.4, 50.0),
    "Gaussian, max_fraction_20": (59.4, None),
    "Gaussian, max_fraction_50": (51.4, None),
}


def _full(truth: Maps) -> Masks:
    return np.ones(truth.shape, bool)


def _predictors() -> dict[str, Predictor]:
    found: dict[str, Predictor] = {"full frame": _full}
    disc = centre_map()[None]
    for name in ("lvs_top50", "ez_top50", "adaptive", "adaptive_strict"):
        found[f"centred disc, {name}"] = lambda truth, name=name: PROTOCOLS[name].masks(disc, truth)
    found["oracle, ez_top50"] = lambda truth: PROTOCOLS["ez_top50"].masks(oracle_map(truth), truth)
    return found


def _of_one_map() -> dict[str, Predictor]:
    """One and the same centred Gaussian under several protocols: what the choice of a protocol alone does."""
    offset = np.arange(SIZE) + 0.5 - SIZE / 2
    heat = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * SIGMA**2))[None].astype(np.float32)
    names = ("lvs_top50", "adaptive_strict", "half_max", "max_fraction", "max_fraction_20", "max_fraction_50")
    return {f"Gaussian, {n}": lambda truth, n=n: PROTOCOLS[n].masks(heat, truth) for n in names}


def _rows(data_set: str, truths: Iterable[Maps], predictors: Mapping[str, Predictor], known: Known) -> Iterator[Row]:
    scores: dict[str, list[float]] = {name: [] for name in predictors}
    for truth in truths:
        for name, predict in predictors.items():
            scores[name].append(loc.ciou(predict(truth[None]), truth[None])[0])
    for name, values in scores.items():
        yield _row(data_set, len(values), name, np.array(values), known[name])


def _row(data_set: str, n: int, name: str, scores: loc.Scores, known: tuple[float, float | None] | None) -> Row:
    rate, auc, mean = (100 * loc.per_clip(scores)).mean(axis=0)
    known_rate, known_auc = known or (None, None)
    row = {"data set": data_set, "n": n, "what": name, "cIoU": round(rate, 2), "AUC": round(auc, 2)}
    return Row({**row, "mean": round(mean, 2), "known cIoU": known_rate, "known AUC": known_auc})


def _one_against_two(of_items: Sequence[Boxes]) -> Row:
    """Each of three boxes against the consensus of the other two."""
    scores = []
    for boxes in of_items:
        for i, box in enumerate(boxes):
            others = consensus_map([[other] for j, other in enumerate(boxes) if j != i])
            scores.append(loc.ciou(box_mask([box])[None], others[None])[0])
    return _row("Flickr-SoundNet", len(of_items), "one annotator against the other two", np.array(scores), (90.5, 75.9))


def flickr_boxes(annotations: Path) -> dict[str, Boxes]:
    """The boxes of the 250 test items as the product's own reader takes them, each a vote."""
    table = flickr_soundnet.boxes_of_table(annotations / FLICKR_BOXES)
    items = sorted(ids_of(annotations / FLICKR_TEST, flickr_soundnet.FORM))
    checked = {item: flickr_soundnet.checked_boxes(item, FLICKR_BOXES, table[item], []) for item in items}
    return {item: [_corners(box) for box in boxes] for item, boxes in checked.items()}


def vggss_truths(annotations: Path) -> Iterator[Maps]:
    """The union of each item's boxes, likewise; two items are left without any."""
    for annotation in vggss.annotations_of(annotations / VGG_SS, []):
        yield union_map([[_corners(box) for box in annotation.boxes]])


def _corners(box: Box) -> Corners:
    return box.x0, box.y0, box.x1, box.y1


if __name__ == "__main__":
    main()
