"""The texture of a slide tells dense from pale and sharp from blurred, whatever the size and order of its places."""

import cv2
import numpy as np
import pytest

from ihcscore.phantom import load_parameters, render
from ihcscore.stains.texture import PATCH_PX, TEXTURE, describe
from ihcscore.stains.vectors import StainMatrix

WHITE = (255.0, 255.0, 255.0)


@pytest.fixture(scope="module")
def phantom():
    return render(load_parameters("membranous"), 3)


def places_of(rgb):
    height, width = rgb.shape[:2]
    rows, columns = range(0, height - PATCH_PX + 1, PATCH_PX), range(0, width - PATCH_PX + 1, PATCH_PX)
    return [rgb[y : y + PATCH_PX, x : x + PATCH_PX] for y in rows for x in columns]


def texture(places, background, stains):
    return dict(zip(TEXTURE, describe(places, background, stains), strict=True))


def test_order_does_not_matter(phantom):
    places = places_of(phantom.rgb)
    one = describe(places, phantom.background, phantom.stains)
    other = describe(places[::-1], phantom.background, phantom.stains)
    assert one == pytest.approx(other, abs=2e-4)


def test_blur_takes_from_the_fine_scales(phantom):
    sharp = texture(places_of(phantom.rgb), phantom.background, phantom.stains)
    soft = texture(places_of(cv2.GaussianBlur(phantom.rgb, (0, 0), 1.0)), phantom.background, phantom.stains)
    for name in ("dab lines p97 0.5/1.2 px", "both edges 0.5/2 px", "hematoxylin edges 0.8/2 px"):
        assert soft[name] < sharp[name] - 0.1
    assert soft["dab lines p97 2.8/1.2 px"] > sharp["dab lines p97 2.8/1.2 px"] + 0.05
    assert sum(soft[f"dab power {k}"] for k in range(1, 8)) < sum(sharp[f"dab power {k}"] for k in range(1, 8)) - 1


def test_density_is_that_of_dab():
    stains = StainMatrix()
    for od in (0.3, 1.0):
        light = 255 * 10 ** (-od * np.array(stains.dab))
        found = texture([np.tile(np.rint(light).astype(np.uint8), (PATCH_PX, PATCH_PX, 1))], WHITE, stains)
        assert np.exp(found["dab p50"]) == pytest.approx(od + 0.005, abs=0.02)
        assert np.exp(found["line p99"]) == pytest.approx(0.005, abs=0.001)


@pytest.mark.parametrize("shape", [(1, 1), (20, 50), (PATCH_PX, PATCH_PX)])
def test_small_places_and_glass_have_one_too(shape):
    assert np.isfinite(describe([np.full((*shape, 3), 255, np.uint8)], WHITE, StainMatrix())).all()
