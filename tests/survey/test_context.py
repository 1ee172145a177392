"""What is settled once for a slide is the same in any order, and a damaged file is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ihcscore import load_context, measure_image
from ihcscore.assays.loading import load_assay
from ihcscore.errors import IhcscoreError
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.phantom import load_parameters, render
from ihcscore.stains.density import ends
from ihcscore.stains.texture import PATCH_PX, TEXTURE
from ihcscore.survey.context import SlideContext
from ihcscore.survey.estimation import complete_context, estimate_context
from ihcscore.survey.slide_survey import MOST_PATCHES, PATCHES, SAMPLE_PIXELS, survey_slide
from ihcscore.survey.tissue import PEN, TISSUE

ASSAY = load_assay("generic-membranous")


@pytest.fixture(scope="module")
def surveys():
    tiles = [render(load_parameters("membranous"), seed).rgb for seed in range(4)]
    return [survey_slide(ArraySlide(rgb, 0.5), ASSAY).sample for rgb in tiles]


def test_a_context_of_another_image_lends_its_light_alone(surveys):
    context = complete_context(surveys[0], estimate_context(surveys[:1], ASSAY))
    assert None not in (context.plane, context.texture)
    bare = SlideContext(context.background, "given", context.stains, "given")
    other = complete_context(surveys[1], context)
    assert complete_context(surveys[1], bare).plane == other.plane
    assert complete_context(surveys[1], replace(context, appearance="not H-DAB")).plane == other.plane
    assert other.light == context.light
    assert other.texture != context.texture
    assert other.plane != context.plane
    assert other == complete_context(surveys[1], replace(context, plane=None, texture=None))


@pytest.mark.parametrize(("images", "places"), [(1, PATCHES), (4, MOST_PATCHES // 4), (100, 1), (1000, 1)])
def test_an_image_of_a_large_group_keeps_few_places(surveys, images, places):
    thinned = surveys[0].thinned(images)
    assert len(thinned.patches) == min(places, len(surveys[0].patches))
    assert thinned.pixels.shape[1] <= SAMPLE_PIXELS
    assert not replace(thinned, patches=()).thinned(images).patches


def test_places_are_stained_ones_wherever_the_tissue_ends():
    """What the coarse image says of the edge of the tissue changes nothing."""
    rgb = np.full((1600, 1600, 3), 240, np.uint8)
    rgb[:600, :500] = render(load_parameters("membranous"), 1).rgb[:500].repeat(2, axis=0)[:600, :500]
    plain = survey_slide(ArraySlide(rgb, 0.5), ASSAY)
    rgb[:600, 504:560] = (225, 205, 200)  # faint in the coarse image, and no place is stained by it
    again = survey_slide(ArraySlide(rgb, 0.5), ASSAY)
    assert (again.tissue.codes == TISSUE).sum() > (plain.tissue.codes == TISSUE).sum()
    assert 20 < len(plain.sample.patches) <= PATCHES
    np.testing.assert_array_equal(plain.sample.patches, again.sample.patches)
    assert all((ends(place)[0] < 195).mean() > 0.15 for place in plain.sample.patches)


def test_places_are_evenly_spread_small_and_as_many_as_said(surveys):
    for each in surveys:
        assert 1 <= len(each.patches) <= PATCHES
        assert {place.shape for place in each.patches} == {(PATCH_PX, PATCH_PX, 3)}


def test_places_with_pen_or_not_scanned_are_left_out():
    rgb = np.tile(render(load_parameters("membranous"), 1).rgb, (2, 2, 1))
    plain = survey_slide(ArraySlide(rgb, 0.5), ASSAY).sample.patches
    rgb[300:700, 300:700] = (10, 90, 210)
    look = survey_slide(ArraySlide(rgb, 0.5), ASSAY)
    assert (look.tissue.codes == PEN).any()
    assert len(look.sample.patches) == len(plain) == PATCHES
    assert not any((place == (10, 90, 210)).all(axis=2).any() for place in look.sample.patches)


def test_an_image_smaller_than_a_place_is_one():
    rgb = render(load_parameters("membranous"), 1).rgb[:40, :30]
    look = survey_slide(ArraySlide(np.ascontiguousarray(rgb), 0.5), ASSAY)
    assert {place.shape for place in look.sample.patches} == {(40, 30, 3)}
    assert measure_image(rgb, mpp=0.5, assay=ASSAY).context.texture is not None


def test_a_context_is_read_back_with_its_texture(surveys, tmp_path):
    context = complete_context(surveys[0], estimate_context(surveys[:1], ASSAY))
    path = tmp_path / "context.json"
    path.write_text(json.dumps(context.to_dict()))
    assert load_context(path) == context
    assert context.texture is not None
    assert len(context.texture) == len(TEXTURE)
    old = json.dumps(context.to_dict() | {"plane": [0.5, -0.7, 0.5]})
    path.write_text(old)
    assert load_context(path).plane == (0.5, -0.7, 0.5, 0.0)


@pytest.mark.parametrize("texture", [[1.0], "many", [None] * len(TEXTURE), [float("inf")] * len(TEXTURE)])
def test_a_damaged_texture_is_refused(surveys, tmp_path, texture):
    path = tmp_path / "context.json"
    path.write_text(json.dumps(estimate_context(surveys[:1], ASSAY).to_dict() | {"texture": texture}))
    with pytest.raises(IhcscoreError, match=f"texture must be {len(TEXTURE)} numbers"):
        load_context(path)


def test_a_given_context_without_texture_gets_the_images_own():
    rgb = render(load_parameters("membranous"), 1).rgb
    settled = measure_image(rgb, mpp=0.5, assay=ASSAY).context
    given = SlideContext(settled.background, "given", settled.stains, "given", plane=settled.plane)
    assert measure_image(rgb, mpp=0.5, assay=ASSAY, context=given).context.texture == settled.texture


def test_the_tissue_of_an_image_that_is_all_tissue_has_its_area():
    rgb = np.full((255, 511, 3), (180, 130, 140), np.uint8)
    assert survey_slide(ArraySlide(rgb, 0.5), ASSAY).tissue.area_mm2(TISSUE) == pytest.approx(255 * 511 * 0.5**2 / 1e6)
