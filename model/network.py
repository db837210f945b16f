"""What a system's two networks have in common."""

from torch import nn


class Network(nn.Module):
    """A network that gives `channels` numbers a cell (of a frame) or a clip (of a sound)."""

    channels: int
