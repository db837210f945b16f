"""Boxed photographs in PASCAL VOC's layout (Everingham et al. 2010): what a detector is trained on.

JPEGImages/NAME.jpg, Annotations/NAME.xml, and lists of names, one a line. Corners are pixels counted from 1, both
inclusive; they become x0, y0, x1, y1 in fractions of the picture, end exclusive. One object's fault costs that object;
a photograph that loses its last one so is rejected, for it is none without objects.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as Xml

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SAFE_ID, Rejection
from pipeline.sources.annotations import Corners, named, shown
from pipeline.sources.reading import Unusable

PICTURES, ANNOTATIONS = "JPEGImages", "Annotations"
# Sets that count from 0 write an edge one pixel too low.
TOLERANCE = 1  # pixels beyond the picture's edge
UNKNOWN = (1e6, 1e6)  # size of a picture of which only the classes are asked


@dataclass(frozen=True)
class Item:
    """One box and what it holds."""

    label: str
    box: Corners
    difficult: bool


@dataclass(frozen=True)
class Annotation:
    """What is boxed in a photograph, and what of it cannot be used; size_wh is null where the file tells none."""

    items: list[Item]
    size_wh: tuple[float, float] | None
    rejections: list[Rejection] = field(default_factory=list)


def read_list(root: Path, name: str) -> tuple[list[str], list[Rejection]]:
    """The names of a list, the first word of each line, each once; what cannot be one is rejected.

    Raises UserError where the list is missing or empty.
    """
    path = root / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); bring the list, or name another") from error
    names: dict[str, None] = {}
    rejections = []
    for word in (line.split()[0] for line in lines if line.strip()):
        if not SAFE_ID.fullmatch(word):
            rejections.append(Rejection(named(word), name, "no name of a photograph: letters, digits, _ - . only"))
        elif word in names:
            rejections.append(Rejection(word, name, "named twice; it is used once"))
        names.setdefault(word, None)
    usable = [word for word in names if SAFE_ID.fullmatch(word)]
    if not usable:
        raise UserError(f"{path}: names no photograph; fill it, or name another list")
    return usable, rejections


def picture_of(name: str) -> str:
    """Where a photograph lies, relative to the root."""
    return f"{PICTURES}/{name}.jpg"


def annotation_of(name: str) -> str:
    """Where its boxes lie, relative to the root."""
    return f"{ANNOTATIONS}/{name}.xml"


def classes_of(root: Path, names: list[str]) -> list[str]:
    """The classes of all objects that can be used in these photographs, sorted."""
    found = set()
    for name in names:
        try:
            found |= {item.label for item in read(root, name, None).items}
        except Unusable:  # it is rejected, with its reason, where it is read as a photograph
            continue
    return sorted(found)


def read(root: Path, name: str, classes: Collection[str] | None, size_wh: tuple[int, int] | None = None) -> Annotation:
    """The boxes of a photograph of a known size; where that is not known, of the size that the file tells.

    classes: those that are accepted; null for all. Raises Unusable where the file cannot be read, belongs to a picture
    of another size, or has objects of which none can be used.
    """
    path = annotation_of(name)
    try:
        top = Xml.parse(root / path).getroot()
    except OSError as error:
        raise Unusable(f"{path}: cannot be read ({error.strerror})") from error
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise Unusable(f"{path}: no plain XML ({shown(str(error))})") from error
    told = _size(top)
    if size_wh is not None and told is not None and told != size_wh:
        raise Unusable(f"{path}: its size is {told[0]:g} x {told[1]:g}, the picture's {size_wh[0]} x {size_wh[1]}")
    size = size_wh or told or UNKNOWN
    items, rejections = [], []
    objects = top.findall("object")
    for i, entry in enumerate(objects, 1):
        try:
            items.append(_item(entry, classes, size))
        except Unusable as error:
            rejections.append(Rejection(name, path, f"object {i}: {error}"))
    if objects and not items:
        raise Unusable(f"{path}: none of its {len(objects)} objects can be used; {rejections[0].reason}")
    return Annotation(items, told, rejections)


def _item(entry: Element, classes: Collection[str] | None, size: tuple[float, float]) -> Item:
    label = (entry.findtext("name") or "").strip()
    if not label or not label.isprintable():
        raise Unusable("has no name")
    if classes is not None and label not in classes:
        raise Unusable(f"its class is {shown(label)}, which is none of those that are trained")
    box = entry.find("bndbox")
    if box is None:
        raise Unusable("has no bndbox")
    x0, y0, x1, y1 = (_number(box, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    width, height = size
    words = f"box {x0:g} {y0:g} {x1:g} {y1:g}"
    low, over = 1 - TOLERANCE, max(x1 - width, y1 - height)
    if min(x0, y0) < low or over > TOLERANCE:
        raise Unusable(f"{words} leaves the picture of {width:g} x {height:g}")
    if x1 < x0 or y1 < y0:
        raise Unusable(f"{words} has its edges in the wrong order")
    left, upper = max(x0 - 1, 0), max(y0 - 1, 0)
    corners = left / width, upper / height, min(x1, width) / width, min(y1, height) / height
    return Item(label, corners, (entry.findtext("difficult") or "0").strip() == "1")


def _number(box: Element, tag: str) -> float:
    text = box.findtext(tag)
    if text is None:
        raise Unusable(f"its bndbox has no {tag}")
    try:
        number = float(text)
    except ValueError:
        raise Unusable(f"its {tag} is {shown(text)}, no number") from None
    if not -1e6 < number < 1e6:
        raise Unusable(f"its {tag} is {shown(text)}")
    return number


def _size(top: Element) -> tuple[float, float] | None:
    size = top.find("size")
    if size is None:
        return None
    try:
        width, height = (_number(size, tag) for tag in ("width", "height"))
    except Unusable:
        return None
    return (width, height) if min(width, height) >= 1 else None
