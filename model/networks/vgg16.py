"""VGG16 (Simonyan & Zisserman 2015) up to conv5_3: the paper's visual network (Sec. 3.2)."""

from torch import Tensor, nn

from model.networks.imagenet import ImageNetNetwork

CONVOLUTIONS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # a pool between the groups


class VGG16(ImageNetNetwork):
    """torchvision's features[0:29]: conv5_3 before its ReLU and the fifth pool, so signed; 512 channels.

    So the authors' code has it (a slice to 30 would rectify and give other cosines). 14 714 688 parameters, no norm and
    no dropout: nothing differs between training and evaluation.
    """

    channels = 512
    beyond = ("classifier.",)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 3
        for group in CONVOLUTIONS:
            if layers:
                layers.append(nn.MaxPool2d(2))
            for n_out in group:
                layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(inplace=True)]
                n_in = n_out
        self.features = nn.Sequential(*layers[:-1])  # 0 to 28

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 512, S / 16, S / 16)."""
        return self.features(self.normalised(frames))
