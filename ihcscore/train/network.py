"""The nucleus network."""

from torch import Tensor, nn
from torch.nn import functional

OUTPUTS = 2
"""Inside a nucleus; height of the nucleus's hill."""
UNSHUFFLE = 4
"""Pixels are taken in squares of this side, at whose size the convolutions run: their count decides the time."""
WIDTH, DEEP_WIDTH = 48, 96
"""Channels, in multiples of 16: at a quarter and an eighth of the resolution."""
DEEP_BLOCKS = 4
STRIDE = 2 * UNSHUFFLE
"""The sides of an input are multiples of this."""
LIGHT_MEAN, LIGHT_SPREAD = 178 / 255, 0.2
"""What the light is centerd on and divided by; beyond an image's border lies the mean."""
RECEPTIVE_PX = 52
"""No output depends on an input pixel farther away than this; `tests/train` measures it."""


def _conv(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """A residual convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, given: Tensor) -> Tensor:
        """Return the rectified sum."""
        return functional.relu(given + self.change(given))


class NucleusNet(nn.Module):
    """A small U-Net with two levels on squares of pixels, sized for one CPU core.

    Takes ``(n, 3, M, N)``, the share of light that passes, 0 to 1; gives logits ``(n, OUTPUTS, M, N)``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = _conv(3 * UNSHUFFLE**2, WIDTH, side=1)
        self.fine = _conv(WIDTH, WIDTH)
        self.down = _conv(WIDTH, DEEP_WIDTH, stride=2)
        self.deep = nn.Sequential(*(Residual(DEEP_WIDTH) for _ in range(DEEP_BLOCKS)))
        self.back = nn.Conv2d(DEEP_WIDTH, WIDTH, 1)
        self.merged = _conv(WIDTH, WIDTH)
        self.out = nn.Conv2d(WIDTH, OUTPUTS * UNSHUFFLE**2, 1)

    def forward(self, light: Tensor) -> Tensor:
        """See the class."""
        squares = functional.pixel_unshuffle((light - LIGHT_MEAN) / LIGHT_SPREAD, UNSHUFFLE)
        fine = self.fine(self.first(squares))
        deep = functional.interpolate(self.back(self.deep(self.down(fine))), scale_factor=2, mode="nearest")
        return functional.pixel_shuffle(self.out(self.merged(deep + fine)), UNSHUFFLE)
