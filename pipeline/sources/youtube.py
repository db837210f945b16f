"""How lists and files write a clip of a YouTube video, and the one form that is used here.

An id of YouTube is 11 characters, `-` and `_` among them, so names are cut by position. Here a clip is called as
VGGSound calls it, `<id>_<start second, six digits>`, or `<id>` where its name does not say when it begins.
"""

import re

ID = 11  # characters
NAME = re.compile(
    r"(?P<video>[A-Za-z0-9_-]{11})"
    r"(?:_(?:(?P<second>[0-9]{1,6})(?:\.(?P<thousandths>[0-9]{3}))?|(?P<start>[0-9]+)_(?P<end>[0-9]+)))?"
)
FRAME_NAME = re.compile(r"(frame|image|img)s?[_-]?[0-9]+", re.IGNORECASE)  # may have 11 characters too


def clip_of(name: str) -> str | None:
    """The clip that a name without its ending stands for; None where it is no name of a clip.

    `X_000030`, `X_30`, `X_30.000`, `X_30000_40000` (milliseconds) and `X_30_40` (seconds) are `X_000030`: a span of
    less than 1000 is one of seconds.
    """
    told = NAME.fullmatch(name)
    if told is None or FRAME_NAME.fullmatch(name):
        return None
    if told["start"]:
        start, end = int(told["start"]), int(told["end"])
        milliseconds = start if end - start >= 1000 else 1000 * start
    elif told["second"]:
        milliseconds = 1000 * int(told["second"]) + int(told["thousandths"] or 0)
    else:
        return name
    second, rest = divmod(milliseconds, 1000)
    return f"{told['video']}_{second:06d}" + (f".{rest:03d}" if rest else "")


def video_of(clip: str) -> str:
    """The id of the video of which a clip is a part."""
    return clip[:ID]
