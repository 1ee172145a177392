"""Maps are made once for each pixel, on canonical tiles, whatever window is asked for."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from conftest import read_only

from ihcscore.geometry import frame_for
from ihcscore.io.working import WorkingImage
from ihcscore.maps import TILE_PX, CanonicalMaps
from ihcscore.phantom import load_parameters, render
from ihcscore.segment.network import Network

WHITE = np.full(3, 240.0)


@dataclass
class Recording:
    """Gives the light itself, and notes what it was asked for."""

    margin_px: int = 5
    asked: list = field(default_factory=list)

    def maps(self, rgb, background):
        self.asked.append(rgb.shape[:2])
        return rgb.copy()


def image_of(rgb, mpp=0.5):
    return WorkingImage(rgb, frame_for(rgb.shape[1], rgb.shape[0], mpp=mpp))


@pytest.fixture(scope="module")
def noise():
    return read_only(np.random.default_rng(0).integers(0, 256, (TILE_PX + 300, 2 * TILE_PX + 7, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "window", [(0, 0, 30, 40), (1000, 1000, 1100, 1200), (0, 0, 1324, 2055), (1323, 2054, 1324, 2055)]
)
def test_a_window_is_cut_from_the_tiles(noise, window):
    maps = CanonicalMaps(image_of(noise), WHITE, Recording())
    y0, x0, y1, x1 = window
    np.testing.assert_array_equal(maps.window(window), noise[y0:y1, x0:x1])


def test_each_tile_is_made_once_with_its_margin(noise):
    recording = Recording()
    maps = CanonicalMaps(image_of(noise), WHITE, recording)
    for _ in range(3):
        maps.window((0, 0, *noise.shape[:2]))
    assert len(recording.asked) == 6
    assert recording.asked[0] == (TILE_PX + 10, TILE_PX + 10)
    assert recording.asked[-1] == (300 + 10, 7 + 10)


def test_only_the_last_tiles_are_kept(noise):
    recording = Recording()
    maps = CanonicalMaps(image_of(noise), WHITE, recording, keep=1)
    maps.window((0, 0, *noise.shape[:2]))
    assert len(maps._tiles) == 1
    maps.window((0, 0, 10, 10))
    assert len(recording.asked) == 7


@pytest.mark.parametrize("mpp", [0.25, 0.4])
def test_an_image_of_one_pixel_and_other_pixel_sizes(noise, mpp):
    maps = CanonicalMaps(image_of(noise[:1, :1]), WHITE, Network())
    assert maps.window((0, 0, 1, 1)).shape == (1, 1, 2)
    image = image_of(noise[:200, :200], mpp)
    rows, columns = image.frame.shape
    assert CanonicalMaps(image, WHITE, Network()).window((0, 0, rows, columns)).shape == (rows, columns, 2)


def test_the_network_says_the_same_in_every_tile_and_window():
    rgb = read_only(render(load_parameters("nuclear"), 4).rgb)
    network = Network()
    image = image_of(rgb)
    whole = CanonicalMaps(image, WHITE, network).window((0, 0, 512, 512))
    margin = network.margin_px
    inner = np.s_[margin : 512 - margin, margin : 512 - margin]
    np.testing.assert_array_equal(network.maps(rgb, WHITE)[inner], whole[inner])
    for window in ((0, 0, 100, 512), (200, 123, 401, 500)):
        y0, x0, y1, x1 = window
        np.testing.assert_array_equal(CanonicalMaps(image, WHITE, network).window(window), whole[y0:y1, x0:x1])
