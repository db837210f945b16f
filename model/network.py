"""What a system's two networks have in common."""

from torch import nn


class Network(nn.Module):
    """A network that gives `channels` numbers a cell (of a frame) or a clip (of a sound).

    begins: the first channel of each depth, where it gives the numbers of several, shallow ones first.
    """

    channels: int
    begins: tuple[int, ...] = (0,)
