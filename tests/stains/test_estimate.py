import dataclasses

import cv2
import numpy as np
import pytest

from ihcscore.assays.assay import Assay
from ihcscore.phantom import load_parameters, render
from ihcscore.stains.background import find_glass
from ihcscore.stains.estimate import KNOWN, estimate_stains
from ihcscore.stains.vectors import StainMatrix, angle_deg, unit
from ihcscore.survey.estimation import estimate_context
from ihcscore.survey.slide_survey import sample_colors


def stained(first, second, share_first=0.5, share_second=0.5, white=240, noise=2.0):
    """Pixels of two stains, overlapping, with camera noise."""
    rng = np.random.default_rng(0)
    n = 20_000
    a = rng.uniform(0, 0.6, n) * (rng.random(n) < share_first)
    b = rng.uniform(0, 1.0, n) * (rng.random(n) < share_second)
    od = a[:, None] * unit(first) + b[:, None] * unit(second)
    return np.clip(white * 10**-od + rng.normal(0, noise, od.shape), 0, 255).astype(np.uint8)[None]


H, D = KNOWN["hematoxylin"], KNOWN["DAB"]


@pytest.mark.parametrize(
    ("h", "d"),
    [(H, D), ((0.80, 0.58, 0.12), (0.30, 0.51, 0.81)), ((0.60, 0.70, 0.39), (0.24, 0.47, 0.85))],
)
def test_vectors_of_mixed_stains_are_found(h, d):
    found = estimate_stains(stained(h, d), 240)
    assert found.status == "estimated"
    assert angle_deg(found.stains.hematoxylin, h) < 2
    assert angle_deg(found.stains.dab, d) < 2


def test_an_estimate_from_little_hematoxylin_is_doubtful():
    little, enough = (estimate_stains(stained(H, D, share_first=share), 240) for share in (0.03, 0.4))
    assert little.status == enough.status == "estimated"
    assert "3% of the stain is hematoxylin" in little.doubt
    assert not enough.doubt
    assert not estimate_stains(np.full((1, 9000, 3), 238, np.uint8), 240).doubt
    assay = Assay(name="a", stains="estimate", background=(240.0, 240.0, 240.0))
    assert little.doubt in estimate_context([sample_colors(stained(H, D, share_first=0.03), assay)], assay).warnings
    given = assay.replace(stains="default")
    assert not estimate_context([sample_colors(stained(H, D, share_first=0.03), given)], given).warnings


@pytest.mark.parametrize(
    ("pixels", "status", "reason"),
    [
        (stained(H, D, share_second=0), "DAB nearly absent", "100.0% hematoxylin"),
        (stained(H, D, share_first=0), "hematoxylin nearly absent", "100.0% DAB"),
        (stained(H, KNOWN["AEC"]), "not H-DAB", "nearest to AEC"),
        (stained(H, KNOWN["Fast Red"]), "not H-DAB", "nearest to Fast Red"),
        (stained(H, KNOWN["eosin"]), "not H-DAB", "nearest to eosin"),
        (stained((1, 1, 1), (1, 1, 1), noise=0), "no color", "from gray"),
        (np.full((1, 9000, 3), 238, np.uint8), "too little tissue", "0 stained pixels"),
    ],
)
def test_what_is_not_there_is_said(pixels, status, reason):
    found = estimate_stains(pixels, 240)
    assert found.status == status
    assert reason in found.reason
    assert found.stains is None
    assert found.looks_like_hdab == (status not in ("not H-DAB", "no color"))


def test_a_real_image_is_estimated_near_the_default(ihc):
    found = estimate_stains(ihc, find_glass(ihc).background)
    assert found.status == "estimated"
    assert angle_deg(found.stains.dab, D) < 10


def test_the_estimate_follows_a_phantom():
    parameters = load_parameters("nuclear")
    away = []
    for seed in range(3):
        phantom = render(parameters, seed)
        found = estimate_stains(phantom.rgb, phantom.background)
        if found.stains is not None:
            away.append(angle_deg(found.stains.dab, phantom.stains.dab))
    assert len(away) >= 2
    assert np.median(away) < 8  # Macenko's extremes lie outside the bulk when noise is added


def test_too_few_pixels_are_no_glass():
    image = np.full((100, 100, 3), (120, 80, 60), np.uint8)
    image[:5, :5] = 250
    assert find_glass(image).background is None


def test_glass_is_found_beside_tissue():
    rng = np.random.default_rng(1)
    image = rng.integers(90, 200, (200, 200, 3), dtype=np.uint8)
    image[:60] = np.clip(rng.normal((238, 236, 230), 1.5, (60, 200, 3)), 0, 255).astype(np.uint8)
    found = find_glass(image)
    np.testing.assert_allclose(found.background, (238, 236, 230), atol=1.5)
    assert found.share == pytest.approx(0.3, abs=0.05)


def test_a_tile_full_of_tissue_has_no_glass(ihc):
    assert find_glass(ihc[150:220, 280:420]).background is None


def test_glass_of_a_large_image_is_found_on_a_reduced_one():
    image = np.full((2500, 1500, 3), 150, np.uint8)
    image[:, :700] = (241, 240, 238)
    assert find_glass(image).background == (241, 240, 238)


@pytest.mark.parametrize("quality", [None, 85])
@pytest.mark.parametrize("padding", [((0, 40), (0, 0)), ((0, 0), (30, 0)), ((16, 30), (64, 70))])
def test_white_padding_is_no_glass(padding, quality):
    rng = np.random.default_rng(2)
    image = rng.integers(90, 200, (200, 240, 3), dtype=np.uint8)
    image[:60] = np.clip(rng.normal((238, 236, 230), 1.5, (60, 240, 3)), 0, 255).astype(np.uint8)
    padded = np.pad(image, (*padding, (0, 0)), constant_values=255)
    if quality is not None:
        padded = cv2.imdecode(cv2.imencode(".jpg", padded, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    found = find_glass(padded)
    np.testing.assert_allclose(found.background, (238, 236, 230), atol=1.5)
    assert found.share == pytest.approx(60 * 240 / padded[..., 0].size, abs=0.08)


def test_glass_that_is_pure_white_is_glass_where_there_is_no_other():
    tissue = np.random.default_rng(3).integers(90, 200, (200, 240, 3), dtype=np.uint8)
    assert find_glass(np.pad(tissue, ((0, 30), (0, 0), (0, 0)), constant_values=255)).background == (255, 255, 255)
    assert find_glass(np.full((50, 60, 3), 255, np.uint8)).background == (255, 255, 255)


def test_dab_that_lies_nowhere_alone_is_no_other_chromogen():
    parameters = load_parameters("negative")
    seen = [estimate_stains(render(parameters, seed).rgb) for seed in (100, 107, 112, 114)]
    assert [found.status for found in seen] == ["DAB nowhere alone"] * 4
    assert all(found.stains is None and found.looks_like_hdab for found in seen)
    red = dataclasses.replace(load_parameters("nuclear"), dab_vector=KNOWN["AEC"])
    assert [estimate_stains(render(red, seed).rgb).status for seed in (0, 1)] == ["not H-DAB"] * 2


def test_swapped_vectors_are_refused():
    with pytest.raises(ValueError, match="swapped"):
        StainMatrix.from_dict({"hematoxylin": list(D), "dab": list(H)})
    assert StainMatrix.from_dict({"hematoxylin": [0.75, 0.6, 0.28], "dab": [0.24, 0.5, 0.83]}).dab[2] > 0.8


def test_another_counterstain_is_said_however_dab_is_mixed_with_it():
    for share in (0.45, 0.55, 0.65, 0.9):
        other = estimate_stains(stained((0.8, 0.3, 0.5), D, share_second=share), 240)
        assert (other.status, other.looks_like_hdab) == ("not H-DAB", False)


def test_what_lies_far_beside_dab_and_hematoxylin_is_no_mixture_of_them():
    n = unit(np.cross(H, D))
    for degrees, status in ((6, "DAB nowhere alone"), (14, "not H-DAB")):
        between = unit(0.5 * unit(H) + 0.5 * unit(D))
        away = np.cos(np.radians(degrees)) * between + np.sin(np.radians(degrees)) * n
        assert estimate_stains(stained(H, away, noise=0.5), 240).status == status
