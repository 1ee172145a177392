import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import discs, light, read_only

import ihcscore
from ihcscore import SlideContext, StainMatrix, load_assay, measure_image, rescore, score_cells, score_image
from ihcscore.phantom import load_parameters, render

BENCHMARK = Path(__file__).parents[1] / "fixtures" / "phantoms" / "nuclear_benchmark.toml"


def test_known_discs_are_counted_and_classed():
    places = [(30 + 40 * k, 40) for k in range(6)]
    rgb, labels = discs((80, 260), places, 9, 0.35, (0.0, 0.1, 0.3, 0.5, 0.7, 1.0))
    assay = load_assay("generic-nuclear").replace(background=(240.0, 240.0, 240.0))
    for result in (score_image(rgb, mpp=0.5, assay=assay), score_image(rgb, mpp=0.5, assay=assay, nuclei=labels)):
        scores = result.scores
        assert (scores.cells, scores.negative, scores.weak, scores.moderate, scores.strong) == (6, 2, 1, 1, 2)
        assert scores.h_score == pytest.approx(100 * (1 + 2 + 6) / 6)
        # Edges are sharp here: what is found wider by a pixel still has a clean interior.
        od = result.cells.sort_values("x_px")["Scored OD"]
        np.testing.assert_allclose(od, (0.0, 0.1, 0.3, 0.5, 0.7, 1.0), atol=0.02)


def test_the_same_cells_at_every_pixel_size():
    parameters = load_parameters("nuclear")
    import dataclasses

    fine = render(dataclasses.replace(parameters, mpp=0.25, size_px=(512, 512)), 2)
    half = fine.rgb.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    one, other = score_image(fine.rgb, mpp=0.25), score_image(half, mpp=0.5)
    assert abs(len(one.cells) - len(other.cells)) <= 2  # rounding of light only
    assert one.scores.h_score == pytest.approx(other.scores.h_score, abs=3)
    assert one.cells["x_um"].max() < 128
    assert one.cells["x_px"].max() > 400


@pytest.mark.parametrize("mpp", [0.23, 0.35, 0.55, 0.8])
def test_odd_pixel_sizes_are_resampled(mpp):
    size = int(120 / mpp)
    yy, xx = np.mgrid[:size, :size] + 0.5
    places = [(30, 30), (60, 80), (90, 40)]
    h = np.zeros((size, size))
    for x, y in places:
        h[np.hypot(xx * mpp - x, yy * mpp - y) < 5] = 0.5
    cells = score_image(light(h, np.zeros_like(h)), mpp=mpp).cells
    found = sorted(zip(cells["x_um"], cells["y_um"], strict=True))
    np.testing.assert_allclose(found, sorted(places), atol=0.5)
    # Outlines are as generous as annotators draw them: half a um outside a sharp edge.
    np.testing.assert_allclose(cells["Nucleus: Area µm^2"], np.pi * 5.5**2, rtol=0.15)


def test_input_is_not_modified_and_result_is_repeatable(ihc):
    first, second = score_image(read_only(ihc), mpp=0.5), score_image(ihc, mpp=0.5)
    pd.testing.assert_frame_equal(first.cells, second.cells, check_exact=True)
    assert first.provenance == second.provenance


def test_provenance_holds_what_a_repetition_needs(ihc):
    made = score_image(ihc, mpp=0.5).provenance
    assert made["ihcscore"] == ihcscore.__version__
    assert made["context"]["background"] == [255, 255, 255]
    assert made["context"]["stains_origin"].startswith("default")
    assert made["segmenter"]["name"] == "network"
    assert made["segmenter"]["parameters"]["depth"] > 0
    assert made["assay"]["thresholds"] == [0.2, 0.4, 0.6]
    assert {key: made["image"][key] for key in ("width", "height", "mpp")} == {"width": 512, "height": 512, "mpp": 0.5}
    assert len(made["image"]["pixels_sha256"]) == 64
    assert set(made["libraries"]) == {"numpy", "scipy", "onnxruntime", "opencv-python-headless", "shapely"}


def test_cells_cut_by_the_border_are_classed_but_not_scored():
    rgb, _ = discs((60, 60), [(2, 30), (30, 30)], 9)
    assay = load_assay("generic-nuclear")
    result = score_image(rgb, mpp=0.5, assay=assay)
    assert result.scores.cut_by_border == 1
    assert result.scores.cells == 1
    assert set(result.cells["Classification"]) == {"Negative"}
    assert score_image(rgb, mpp=0.5, assay=assay.replace(include_cut=True)).scores.cells == 2


def test_unmeasurable_compartments_are_counted_not_negative():
    rgb, labels = discs((60, 60), [(30, 30)], 9)
    assay = load_assay("generic-nuclear").replace(compartment=("cytoplasm",), expansion_um=0.0)
    result = score_image(rgb, mpp=0.5, assay=assay, nuclei=labels)
    assert result.scores.unmeasurable == 1
    assert result.scores.cells == 0
    assert result.scores.status == "unscorable"
    assert result.scores.h_score is None
    assert "1 unmeasurable" in result.scores.reason
    assert result.cells["Classification"].tolist() == ["Unmeasurable"]


def test_blank_glass_and_black_are_unscorable():
    for value in (245, 0):
        scores = score_image(np.full((100, 100, 3), value, np.uint8), mpp=0.5).scores
        assert (scores.status, scores.cells, scores.h_score, scores.percent_positive) == ("unscorable", 0, None, None)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2), (5, 5)])
def test_tiny_images_are_unscorable_not_an_accident(shape):
    assert score_image(np.full((*shape, 3), 120, np.uint8), mpp=0.5).scores.status == "unscorable"


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((9, 9, 3), np.uint16), TypeError, "8-bit"),
        (np.zeros((9, 9, 3)), TypeError, "8-bit"),
        (np.zeros((9, 9), np.uint8), ValueError, r"\(M, N, 3\)"),
        (np.zeros((9, 9, 4), np.uint8), ValueError, r"\(M, N, 3\)"),
        (np.zeros((0, 9, 3), np.uint8), ValueError, "pixels"),
    ],
)
def test_arrays_that_are_no_image_are_refused(image, error, message):
    with pytest.raises(error, match=message):
        score_image(image, mpp=0.5)


def test_pixel_size_has_no_default(ihc):
    with pytest.raises(TypeError, match="mpp"):
        score_image(ihc)
    with pytest.raises(ValueError, match="coarse"):
        score_image(ihc, mpp=2)


def test_given_nuclei_must_fit(ihc):
    with pytest.raises(ValueError, match="shape"):
        score_image(ihc, mpp=0.5, nuclei=np.zeros((3, 3), np.int32))
    mask = np.zeros((512, 512), np.int32)
    mask[10:20, 10:20] = mask[40:50, 40:50] = 1
    with pytest.raises(ValueError, match="its own number"):
        score_image(ihc, mpp=0.5, nuclei=mask)
    mask[40:50, 40:50], mask[100, 101] = 2, 3
    segmenter = score_image(ihc, mpp=0.25, nuclei=mask).provenance["segmenter"]["parameters"]
    assert (segmenter["labels_given"], segmenter["labels_too_small"]) == (3, 1)
    assert len(segmenter["labels_sha256"]) == 64
    with pytest.raises(ValueError, match="labels"):
        score_image(ihc, mpp=0.5, nuclei=np.zeros((512, 512)))


def test_a_context_replaces_the_estimate(ihc):
    context = SlideContext((236.0, 236.0, 234.0), "given", StainMatrix((0.68, 0.64, 0.35), (0.24, 0.47, 0.85)), "given")
    result = measure_image(ihc, mpp=0.5, context=context)
    own = {"texture": result.context.texture, "plane": result.context.plane}
    assert None not in own.values()
    assert result.context == dataclasses.replace(context, **own)
    assert result.provenance["context"]["background"] == [236, 236, 234]


def test_rescoring_equals_scoring(ihc):
    assay = load_assay("generic-nuclear")
    measured = measure_image(ihc, mpp=0.5, assay=assay)
    other = assay.replace(thresholds=(0.1, 0.3, 0.5), compartment=("membrane", "cytoplasm"))
    pd.testing.assert_frame_equal(
        rescore(measured, other, assay).cells, score_image(ihc, mpp=0.5, assay=other).cells, check_exact=True
    )


def test_rescoring_with_another_background_follows_the_pixels(ihc):
    assay = load_assay("generic-nuclear")
    measured = measure_image(ihc, mpp=0.5, assay=assay)
    moved = rescore(measured, assay.replace(background=(245.0, 245.0, 240.0)), assay)
    assert moved.scores.h_score < score_cells(measured.cells, assay).scores.h_score
    assert moved.scores.saturated_share is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expansion_um": 3.0}, "expansion_um decides what is measured"),
        ({"segmenter_parameters": {"contrast_od": 0.05}}, "segmenter_parameters"),
        ({"background": "auto"}, "needs the pixels"),
        ({"stains": "estimate"}, "needs the pixels"),
    ],
)
def test_what_needs_pixels_is_not_rescored(ihc, changes, message):
    assay = load_assay("generic-nuclear")
    measured = measure_image(ihc[:128, :128], mpp=0.5, assay=assay)
    with pytest.raises(ihcscore.IhcscoreError, match=message):
        rescore(measured, assay.replace(**changes), assay)


def test_h_scores_of_phantoms_are_right():
    """A short form of tests/benchmarks/phantom_hscore.py."""
    parameters = load_parameters(BENCHMARK)
    given, found = [], []
    for seed in range(60, 68):
        phantom = render(parameters, seed)
        true = phantom.h_score()
        given.append(abs(score_image(phantom.rgb, mpp=0.5, nuclei=phantom.nuclei).scores.h_score - true))
        found.append(abs(score_image(phantom.rgb, mpp=0.5).scores.h_score - true))
    assert np.median(given) <= 2
    assert np.median(found) <= 6
    assert max(found) <= 20


def test_public_names_are_there_and_importing_is_free():
    for name in ihcscore.__all__:
        assert getattr(ihcscore, name) is not None
    assert set(ihcscore.__all__) <= set(dir(ihcscore))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = ihcscore.nothing_like_it
    code = "import sys, ihcscore; print([m for m in ('cv2', 'pandas', 'skimage', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
