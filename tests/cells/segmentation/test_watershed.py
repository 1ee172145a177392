"""The classical segmenter: laws, locality, and images whose nuclei are known."""

import math
from functools import cache

import cv2
import numpy as np
import pytest
from conftest import check_labels, read_only
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ihcscore.cells.segmentation.base import Segmenter, TilePixels
from ihcscore.cells.segmentation.shapes import Sizes, nuclei_of
from ihcscore.cells.segmentation.split import Stained, split
from ihcscore.cells.segmentation.watershed import Watershed
from ihcscore.stains.unmix import mix
from ihcscore.stains.vectors import StainMatrix

MPP = 0.5
WATERSHED = Watershed()
Labels = NDArray[np.int32]
Stains = NDArray[np.float32]


def block(stains: Stains, mpp: float = MPP) -> TilePixels:
    """A block whose light passes these stains; every array is read-only."""
    light = 255 * 10 ** -mix(np.ascontiguousarray(stains, np.float32))
    rgb = np.clip(np.rint(light), 1, 255).astype(np.uint8)
    return TilePixels(read_only(rgb), StainMatrix(), read_only(np.full(3, 255.0)), mpp)


def blank(rows: int = 80, columns: int = 80) -> Stains:
    return np.full((rows, columns, 3), 0.05, np.float32)


def disc(shape: tuple[int, int], y: float, x: float, a: float, b: float, angle: float = 0.0) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    u = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    v = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    return np.asarray((u / a) ** 2 + (v / b) ** 2 <= 1)


def soften(stains: Stains) -> Stains:
    return np.asarray(cv2.GaussianBlur(stains, (0, 0), 1.0))


@cache
def tissue(seed: int, size: int = 330) -> Stains:
    """Crowded nuclei, pale to dense, some with DAB, rings and a field of stained cytoplasm; noise over it."""
    rng = np.random.default_rng(seed)
    stains = blank(size, size)
    stains[size // 2 :, : size // 2, 1] += 0.4
    for _ in range(size * size // 300):
        y, x, a, b, angle = (*rng.uniform(0, size, 2), *rng.uniform(4, 13, 2), rng.uniform(0, np.pi))
        nucleus = disc((size, size), y, x, a, b, angle)
        kind = rng.random()
        if kind < 0.1:
            nucleus &= ~disc((size, size), y, x, a - 3, b - 3, angle)
        stains[nucleus, 0] = rng.uniform(0.1, 0.5)
        if kind < 0.35:
            stains[nucleus, 1] = rng.uniform(0.2, 1.8)
    noisy = np.asarray(soften(stains) + rng.normal(0, 0.03, stains.shape), np.float32)
    noisy.flags.writeable = False
    return noisy


def segment(stains: Stains) -> Labels:
    return WATERSHED.segment(block(stains))


def nuclei(labels: Labels, y: int = 0, x: int = 0) -> dict[tuple[int, ...], bytes]:
    """Pixels of each nucleus under its box, which is moved by (y, x)."""
    found = {}
    for number, (rows, columns) in enumerate(ndi.find_objects(labels), 1):
        box = (rows.start + y, columns.start + x, rows.stop + y, columns.stop + x)
        found[box] = (labels[rows, columns] == number).tobytes()
    return found


def check(labels: Labels, watershed: Watershed = WATERSHED) -> None:
    check_labels(labels, watershed)
    areas = np.bincount(labels.ravel())[1:]
    assert np.all(areas * MPP**2 >= watershed.smallest_um2)


# --- locality


def inner(found: dict[tuple[int, ...], bytes], window: tuple[int, ...], image: int) -> dict[tuple[int, ...], bytes]:
    """Nuclei farther than `influence_um` from the sides of a window that are not sides of the image."""
    far = WATERSHED.influence_um / MPP
    low = [side + far if side > 0 else 0 for side in window[:2]]
    high = [side - far if side < image else image for side in window[2:]]
    return {
        box: pixels
        for box, pixels in found.items()
        if box[0] >= low[0] and box[1] >= low[1] and box[2] <= high[0] and box[3] <= high[1]
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.data())
def test_a_window_has_the_nuclei_of_the_image(seed: int, data: st.DataObject) -> None:
    stains = tissue(seed)
    size = len(stains)
    top, left = data.draw(st.integers(0, 80)), data.draw(st.integers(0, 80))
    bottom, right = data.draw(st.integers(280, size)), data.draw(st.integers(280, size))
    window = (top, left, bottom, right)
    whole = inner(nuclei(segment(stains)), window, size)
    part = inner(nuclei(segment(stains[top:bottom, left:right]), top, left), window, size)
    assert whole
    assert part == whole


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(1, 80), st.integers(280, 329), st.sampled_from([0.0, 0.3, 3.0, "tissue"]))
def test_what_is_far_away_does_not_matter(seed: int, low: int, high: int, beyond: float | str) -> None:
    stains = tissue(seed)
    other = tissue(seed + 1).copy() if isinstance(beyond, str) else np.full_like(stains, beyond)
    other[low:high, low:high] = stains[low:high, low:high]
    window = (low, low, high, high)
    before = inner(nuclei(segment(stains)), window, len(stains))
    assert before
    assert inner(nuclei(segment(other)), window, len(stains)) == before


@pytest.mark.parametrize("shift", [1, 7, 64, 65])
def test_a_shifted_image_has_shifted_nuclei(shift: int) -> None:
    """Steps that work in bands of 64 rows must not show them."""
    stains = tissue(3, 200)
    wide = np.concatenate([stains[:shift][::-1], stains])
    whole, moved = nuclei(segment(stains)), nuclei(segment(wide), -shift)
    far = WATERSHED.influence_um / MPP
    assert {b: p for b, p in whole.items() if b[0] >= far} == {b: p for b, p in moved.items() if b[0] >= far}


# --- laws of the labels


@pytest.mark.parametrize("seed", range(4))
def test_labels_keep_their_laws(seed: int) -> None:
    labels = segment(tissue(seed))
    assert labels.max() > 50
    check(labels)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90), st.floats(0, 4))
def test_noise_of_any_shape_keeps_the_laws(seed: int, rows: int, columns: int, smooth: float) -> None:
    noise = np.random.default_rng(seed).normal(0.2, 1.5, (rows, columns, 3)).astype(np.float32)
    labels = segment(cv2.GaussianBlur(noise, (0, 0), smooth) if smooth > 0.1 else noise)
    assert labels.shape == (rows, columns)
    check(labels)


@pytest.mark.parametrize("value", [0.0, -0.3, 0.1, 2.4, np.float32(1e6)])
@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (1, 1), (1, 90), (90, 1), (90, 90)])
def test_a_flat_image_has_no_nuclei(shape: tuple[int, int], value: float) -> None:
    labels = segment(np.full((*shape, 3), value, np.float32))
    assert labels.shape == shape
    assert labels.dtype == np.int32
    assert not labels.any()


def test_the_input_is_left_alone() -> None:
    given_block = block(tissue(1, 120))
    before = given_block.rgb.copy()
    WATERSHED.segment(given_block)
    np.testing.assert_array_equal(given_block.rgb, before)


def test_it_is_a_segmenter() -> None:
    assert isinstance(WATERSHED, Segmenter)
    assert (WATERSHED.name, WATERSHED.version, WATERSHED.mpp) == ("watershed", "1", MPP)


# --- known nuclei


def test_touching_discs_are_two() -> None:
    stains = blank()
    stains[disc((80, 80), 40, 30, 9, 9) | disc((80, 80), 40, 46, 9, 9), 0] = 0.35
    labels = segment(soften(stains))
    assert labels.max() == 2
    assert labels[40, 30] != labels[40, 46]


@pytest.mark.parametrize("angle", [0.0, 0.4, 0.8, 1.2])
def test_an_ellipse_is_one(angle: float) -> None:
    stains = blank()
    truth = disc((80, 80), 40, 40, 16, 8, angle)
    stains[truth, 0] = 0.35
    labels = segment(soften(stains))
    assert labels.max() == 1
    assert (truth & (labels > 0)).sum() / (truth | (labels > 0)).sum() > 0.65  # generous outlines


@pytest.mark.parametrize("hematoxylin", [-0.2, 0.0, 0.3])
@pytest.mark.parametrize("dab", [0.4, 1.0, 2.5])
def test_a_nucleus_full_of_dab_is_found(dab: float, hematoxylin: float) -> None:
    stains = blank()
    truth = disc((80, 80), 40, 40, 9, 8)
    stains[truth] = (hematoxylin, dab, 0)
    labels = segment(soften(stains))
    assert labels.max() == 1
    assert labels[truth].mean() > 0.9


def test_a_stained_membrane_is_not_a_nucleus() -> None:
    """A cell of 16 um with a membrane of 1.5 um and a pale blue nucleus of 8 um, as HER2 or CK7 show it."""
    stains = blank()
    cell, inside = disc((80, 80), 40, 40, 16, 16), disc((80, 80), 40, 40, 13, 13)
    nucleus = disc((80, 80), 40, 40, 8, 8)
    stains[cell & ~inside, 1] = 0.9
    stains[inside, 1] = 0.15
    stains[nucleus, 0] = 0.2
    labels = segment(soften(stains))
    assert labels.max() == 1
    assert labels[nucleus].all()
    assert not labels[cell & ~inside].any()


def test_stained_cytoplasm_is_not_a_nucleus() -> None:
    stains = blank(140, 140)
    stains[20:120, 20:120, 1] = 0.5
    centers = [(y, x) for y in (45, 70, 95) for x in (45, 70, 95)]
    for y, x in centers:
        stains[disc((140, 140), y, x, 8, 7)] = (0.25, 0.3, 0)
    labels = segment(soften(stains))
    found = labels[tuple(zip(*centers, strict=True))]
    assert len(set(found.tolist())) == 9
    assert found.all()
    assert (np.bincount(labels.ravel())[found] * MPP**2 < 75).all()  # a nucleus has 44 um2


@pytest.mark.parametrize("stain", [0, 1])
def test_contrast_in_either_stain_is_enough(stain: int) -> None:
    stains = blank()
    truth = disc((80, 80), 40, 40, 9, 9)
    stains[truth, stain] += 0.25
    labels = segment(soften(stains))
    assert labels.max() == 1
    assert labels[truth].mean() > 0.9


def test_a_tint_over_everything_changes_little() -> None:
    """A wrong background adds a constant to each stain: the threshold is local."""
    stains = tissue(2)
    plain, tinted = segment(stains) > 0, segment(stains + np.array([0.06, 0.06, 0.02], np.float32)) > 0
    assert (plain & tinted).sum() / (plain | tinted).sum() > 0.9


def test_a_pale_nucleus_beside_a_dense_one_is_found() -> None:
    stains = blank()
    stains[disc((80, 80), 40, 28, 9, 9)] = (0.2, 2.0, 0)
    stains[disc((80, 80), 40, 50, 9, 9), 0] = 0.2
    labels = segment(soften(stains))
    assert labels[40, 28] > 0
    assert labels[40, 50] > 0
    assert labels[40, 28] != labels[40, 50]


def test_too_long_and_too_small_are_left_out() -> None:
    stains = blank(120, 120)
    stains[20:27, 10:110, 0] = 0.4
    stains[disc((120, 120), 80, 40, 1, 1), 0] = 0.6
    stains[disc((120, 120), 80, 80, 9, 9), 0] = 0.4
    labels = segment(soften(stains))
    assert labels.max() >= 1
    assert labels[80, 80] > 0
    assert labels[80, 40] == 0
    check(labels)


# --- parts


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_euler_counts_holes(seed: int) -> None:
    noise = np.random.default_rng(seed).random((20, 150))
    mask = np.pad(cv2.GaussianBlur(noise, (0, 0), 1.0) > 0.5, 1)
    plane, count = ndi.label(mask)
    holes = [ndi.label(~np.pad(plane == k, 1))[1] - 1 for k in range(1, count + 1)]
    np.testing.assert_array_equal(Sizes.of(plane.astype(np.int32)).euler[1:], 1 - np.array(holes))


def test_what_lies_in_a_nucleus_is_filled() -> None:
    plane = np.zeros((12, 20), np.int32)
    plane[1:9, 1:9] = 2
    plane[3:7, 3:7] = 0
    plane[4:6, 4:6] = 1
    plane[2:5, 12:16] = 3
    filled = nuclei_of(plane.copy(), Sizes.of(plane), np.ones(4, bool))
    np.testing.assert_array_equal(filled[1:9, 1:9], 1)
    np.testing.assert_array_equal(filled == 2, plane == 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_hills_are_connected_and_cover_the_mask(seed: int, depth: int) -> None:
    height = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (60, 70)).astype(np.uint8), (0, 0), 2.0)
    mask = height > 120
    labels = split(height, mask, depth)
    np.testing.assert_array_equal(labels > 0, mask)
    for k in np.unique(labels[mask]):
        assert ndi.label(labels == k)[1] == 1


def test_a_deeper_saddle_is_needed_to_separate_more() -> None:
    height = np.random.default_rng(0).integers(1, 200, (60, 70)).astype(np.uint8)
    counts = [len(np.unique(split(height, height > 0, depth))) for depth in (1, 20, 60, 200)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_split_names_what_is_wrong() -> None:
    height = np.ones((3, 3), np.uint8)
    with pytest.raises(ValueError, match="one shape"):
        split(height, np.ones((2, 3), bool), 1)
    with pytest.raises(ValueError, match="1 or more, found 0"):
        split(height, height > 0, 0)
    with pytest.raises(ValueError, match="1 or more, found 2 and 0"):
        split(height, height > 0, 2, Stained(height, 0, 1))
    with pytest.raises(ValueError, match="0 or more, found -1"):
        split(height, height > 0, 2, Stained(height, 1, -1))
    with pytest.raises(ValueError, match="one shape"):
        split(height, height > 0, 2, Stained(height[:2], 1, 1))


# --- misuse


def test_another_pixel_size_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"expected pixels of 0\.5 um, found 0\.25 um"):
        WATERSHED.segment(block(blank(), 0.25))


def test_all_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match=r"depth_um=0.*window_um|window_um=-1.*depth_um=0"):
        Watershed(window_um=-1, depth_um=0)
    for wrong in ({"dab_cap_od": 2.0}, {"contrast_od": 1.3}, {"grow_um": 1e9}, {"edge_share": math.nan}):
        with pytest.raises(ValueError, match=f"out of range: {next(iter(wrong))}="):
            Watershed(**wrong)
    with pytest.raises(ValueError, match=r"dab_window_um: at most 63 pixels of 0\.5 um"):
        Watershed(dab_window_um=40)
