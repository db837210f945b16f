"""What the authors' code does to a training frame: `train.augment: as_coded` and `as_coded_map_follows`.

Grey, upside down and mirrored, each with a chance of one half; then brightness, contrast, saturation and hue in an
order drawn anew, by torchvision's rules for PIL images: factors of .5 to 1.5, hue by up to half the circle either way.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

STRENGTH = 0.5  # of each of the four, either way
ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def jittered(frame: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], bool, bool]:
    """The frame (S, S, 3) uint8 RGB as the authors' code would train on it, and whether it is mirrored, upside down."""
    grey, upside_down, mirrored = (bool(hit) for hit in rng.random(3) < 0.5)
    factors = rng.uniform(1 - STRENGTH, 1 + STRENGTH, len(ENHANCERS))
    turn = rng.uniform(-STRENGTH, STRENGTH)
    image = Image.fromarray(np.ascontiguousarray(frame))
    if grey:
        image = image.convert("L").convert("RGB")
    for i in rng.permutation(len(ENHANCERS) + 1):
        image = ENHANCERS[i](image).enhance(float(factors[i])) if i < len(ENHANCERS) else _turned(image, turn)
    pixels = np.asarray(image)
    pixels = pixels[::-1] if upside_down else pixels
    return pixels[:, ::-1] if mirrored else pixels, mirrored, upside_down


def _turned(image: Image.Image, turn: float) -> Image.Image:
    """The image with its hues turned by a share of the circle."""
    hue, *others = image.convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(int(turn * 255) % 256)  # wraps round, as an angle does
    return Image.merge("HSV", (Image.fromarray(turned), *others)).convert("RGB")
