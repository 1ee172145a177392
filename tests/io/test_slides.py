"""Every reader gives the same pixels, whatever the window, and refuses what would be scored wrongly."""

import json
import sys
from contextlib import closing, suppress
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from conftest import read_only
from pydicom.encaps import encapsulate
from slides import (
    JPEG,
    JPEG_LS,
    LOSSLESS,
    tiles_of,
    write_dicom,
    write_ome_tiff,
    write_plain_pyramid,
    write_streamed,
    write_striped,
    write_svs,
)

from ihcscore.errors import EmptyImage, IhcscoreError, MissingPixelSize, PixelSizeError, UnreadableImage
from ihcscore.io.manifests import expand_inputs
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.slides.opening import FORMATS, SUFFIXES, open_slide, slide_sha256
from ihcscore.io.slides.tile_cache import Kept, whole_downsample
from ihcscore.io.slides.vendor import companions
from ihcscore.phantom import load_parameters, render

REAL = Path(__file__).parents[3] / "shared" / "data" / "slides"
MPP = 0.5


@pytest.fixture(scope="module")
def rgb():
    field = render(load_parameters("nuclear"), 3).rgb
    return read_only(np.tile(field, (3, 3, 1))[:1187, :1303])


WRITERS = {
    "svs": lambda folder, rgb, kind: write_svs(folder / "a.svs", rgb, MPP, kind=kind, downsamples=(1, 4)),
    "ome": lambda folder, rgb, kind: write_ome_tiff(folder / "a.ome.tif", rgb, MPP, kind=kind),
    "pyramid": lambda folder, rgb, kind: write_plain_pyramid(folder / "a.tif", rgb, MPP, kind=kind),
    "dicom": lambda folder, rgb, kind: write_dicom(folder / "series", rgb, MPP, kind=kind),
    "dicom of JPEG-LS": lambda folder, rgb, kind: write_dicom(folder / "ls", rgb, MPP, kind=JPEG_LS),
}


@pytest.fixture(scope="module", params=[*WRITERS, "array", "separate planes"])
def slide(request, rgb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    if request.param == "array":
        yield ArraySlide(rgb, MPP)
        return
    if request.param == "separate planes":
        planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0))
        options = {"planarconfig": "separate", "tile": (256, 256), "photometric": "rgb", "metadata": None}
        with tifffile.TiffWriter(folder / "planes.tif") as tiff:
            for step in (1, 2):  # two levels, so that it is read piece by piece
                density = (2e4 / step, 2e4 / step)
                tiff.write(planes[:, ::step, ::step], resolution=density, resolutionunit="CENTIMETER", **options)
        path = folder / "planes.tif"
    else:
        path = WRITERS[request.param](folder, rgb, LOSSLESS)
    with closing(open_slide(path)) as opened:
        yield opened


def test_is_a_slide_with_the_pixels_that_were_written(slide, rgb):
    assert isinstance(slide, Slide)
    assert slide.dimensions == (1303, 1187) == slide.level_dimensions[0]
    assert slide.mpp == pytest.approx(MPP)
    assert slide.bounds == (0, 0, 1303, 1187)
    np.testing.assert_array_equal(slide.read_level(0, (0, 0, 1187, 1303)), rgb)


def test_a_pixel_does_not_depend_on_the_window(slide):
    chance = np.random.default_rng(0)
    for level, (width, height) in enumerate(slide.level_dimensions):
        whole = slide.read_level(level, (0, 0, height, width)).copy()
        for _ in range(12):
            y0, y1 = np.sort(chance.choice(height + 1, 2, replace=False))
            x0, x1 = np.sort(chance.choice(width + 1, 2, replace=False))
            part = slide.read_level(level, (int(y0), int(x0), int(y1), int(x1)))
            np.testing.assert_array_equal(part, whole[y0:y1, x0:x1])


def test_downsamples_are_whole_where_sizes_are_rounded(slide):
    used = [factor for factor in slide.level_downsamples if factor != float("inf")]  # of rounded size, so resampled
    assert all(factor == int(factor) for factor in used)
    assert slide.level_downsamples[0] == 1


@pytest.mark.parametrize("name", WRITERS)
def test_jpeg_is_close(name, rgb, tmp_path):
    with closing(open_slide(WRITERS[name](tmp_path, rgb, JPEG))) as slide:
        found = slide.read_level(0, (0, 0, 1187, 1303))
    assert np.abs(found.astype(int) - rgb).mean() < 3


def test_names_of_people_labels_and_macros_stay_in_the_file(tmp_path, rgb):
    for path in (write_svs(tmp_path / "a.svs", rgb, MPP), write_dicom(tmp_path / "s", rgb, MPP)):
        slide = open_slide(path)
        told = json.dumps([slide.name, slide.notes, slide.mpp_origin, slide.reader])
        assert not any(word in told for word in ("Doe", "Roe", "12345", str(tmp_path)))
        assert slide.level_dimensions[-1][0] > 300  # neither label nor macro is a level


def test_all_files_of_a_dicom_series_are_its_identity(tmp_path, rgb):
    first = write_dicom(tmp_path / "s", rgb, MPP)
    (tmp_path / "s" / "notes.txt").write_text("not of the series")
    slide = open_slide(first)
    assert [path.name for path in slide.files] == ["level0.dcm", "level1.dcm"]
    before = slide_sha256(slide)
    (tmp_path / "s" / "level1.dcm").write_bytes((tmp_path / "s" / "level1.dcm").read_bytes() + b"\0")
    assert slide_sha256(slide) != before


def test_a_folder_of_dicom_files_has_a_slide_for_each_series(tmp_path, rgb):
    for name in ("a", "b"):
        write_dicom(tmp_path / name, rgb, MPP)
    (tmp_path / "a" / "none.dcm").write_bytes(b"no DICOM")
    found = [item.path.relative_to(tmp_path).as_posix() for item in expand_inputs([f"{tmp_path}/**/*.dcm"])]
    assert found == ["a/level0.dcm", "a/none.dcm", "b/level0.dcm"]


def test_dicom_that_openslide_refuses_is_read_by_wsidicom_and_says_so(tmp_path, rgb, monkeypatch):
    first = write_dicom(tmp_path / "s", rgb, MPP, kind=JPEG_LS)
    with closing(open_slide(first)) as slide:
        assert slide.reader.startswith("wsidicom")
        assert slide.notes == ("OpenSlide refuses this DICOM, wsidicom reads it",)
        assert [path.name for path in slide.files] == ["level0.dcm", "level1.dcm"]
        assert slide.icc_sha256 is None
    found = [item.path.name for item in expand_inputs([str(tmp_path / "s")])]
    assert found == ["level0.dcm"]
    monkeypatch.setitem(sys.modules, "wsidicom", None)
    with pytest.raises(UnreadableImage, match=r"transfer syntax.*ihcscore\[dicom\]"):
        open_slide(first)


def changed_dicom(path, **fields):
    """Change or remove fields of a DICOM file."""
    data = pydicom.dcmread(path)
    for name, value in fields.items():
        if value is None:
            del data[name]
        else:
            setattr(data, name, value)
    data.save_as(path)
    return path


def test_dicom_of_wsidicom_without_pixel_size_is_refused(tmp_path, rgb):
    path = write_dicom(tmp_path / "s", rgb, MPP, kind=JPEG_LS, downsamples=(1,))
    nothing = dict.fromkeys(("SharedFunctionalGroupsSequence", "ImagedVolumeWidth", "ImagedVolumeHeight"))
    changed_dicom(path, **nothing)
    with pytest.raises(MissingPixelSize, match=r"level0\.dcm: states no pixel size"):
        open_slide(path, 0.25)


def test_grey_dicom_is_refused(tmp_path, rgb):
    path = write_dicom(tmp_path / "s", rgb, MPP, kind=JPEG_LS, downsamples=(1,))
    gray = encapsulate([bytes(imagecodecs.jpegls_encode(tile[..., 0].copy())) for tile in tiles_of(rgb)])
    changed_dicom(
        path, PixelData=gray, SamplesPerPixel=1, PlanarConfiguration=None, PhotometricInterpretation="MONOCHROME2"
    )
    with pytest.raises(UnreadableImage, match="RGB"), closing(open_slide(path)) as slide:
        slide.read_level(0, (0, 0, 1187, 1303))


def test_dicom_that_nothing_reads_is_refused(tmp_path, rgb):
    whole = write_dicom(tmp_path / "s", rgb, MPP, kind=JPEG_LS).read_bytes()
    half = tmp_path / "half.dcm"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImage, match=r"half\.dcm"), closing(open_slide(half)) as slide:
        slide.read_level(0, (0, 0, 1187, 1303))
    none = tmp_path / "none.dcm"
    none.write_bytes(bytes(128) + b"DICM" + bytes(64))
    with pytest.raises(UnreadableImage, match=r"none\.dcm"):
        open_slide(none)


def test_a_folder_beside_an_mrxs_belongs_to_it(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a.mrxs", "a/Data0000.dat", "a/Slidedat.ini", "b.mrxs"):
        (tmp_path / name).write_bytes(b"x")
    assert sorted(path.name for path in companions(tmp_path / "a.mrxs", None)) == ["Data0000.dat", "Slidedat.ini"]


def test_pixel_size_given_wins_and_disagreement_is_noted(tmp_path, rgb):
    path = write_svs(tmp_path / "a.svs", rgb, MPP)
    assert open_slide(path).mpp_origin == "aperio metadata"
    slide = open_slide(path, 0.25)
    assert (slide.mpp, slide.mpp_origin) == (0.25, "given")
    assert "the file says 0.5" in slide.notes[0]


def test_without_pixel_size_it_is_refused(tmp_path, rgb):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for factor in (1, 2):
            dots = {"resolution": (72, 72), "resolutionunit": "INCH"}
            tiff.write(rgb[::factor, ::factor], tile=(256, 256), photometric="rgb", metadata=None, **dots)
    with pytest.raises(MissingPixelSize, match="--mpp"):
        open_slide(tmp_path / "a.tif")
    with closing(open_slide(tmp_path / "a.tif", 0.5)) as slide:
        assert slide.mpp == 0.5


def test_too_coarse_names_the_pixel_size(tmp_path, rgb):
    with pytest.raises(PixelSizeError, match=r"2\.5 um"):
        open_slide(write_svs(tmp_path / "a.svs", rgb, 2.5))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real slides are not here")
def test_real_files():
    slide = open_slide(REAL / "CMU-1-Small-Region.svs")
    assert (slide.dimensions, slide.mpp) == ((2220, 2967), 0.499)
    with pytest.raises(PixelSizeError, match=r"28\.969 um"):
        open_slide(REAL / "multiframe_camelyon_challenge_image.dcm")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.8])
@pytest.mark.parametrize("name", ["svs", "ome", "pyramid"])
def test_truncated_files_are_refused_or_fail_when_read(tmp_path, rgb, name, share):
    path = WRITERS[name](tmp_path, rgb, LOSSLESS)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((UnreadableImage, MissingPixelSize), match=path.name):
        read_all(path)


@pytest.mark.parametrize("name", ["svs", "ome", "pyramid"])
def test_without_its_end_a_file_has_its_pixels_or_is_refused(tmp_path, rgb, name):
    path = WRITERS[name](tmp_path, rgb, LOSSLESS)
    whole, data = read_all(path), path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.999)])
    with suppress(UnreadableImage, MissingPixelSize):  # its end may hold what has to be read first
        assert all(map(np.array_equal, read_all(path), whole))


def read_all(path):
    with closing(open_slide(path)) as slide:
        return [slide.read_level(k, (0, 0, h, w)).copy() for k, (w, h) in enumerate(slide.level_dimensions)]


def test_a_missing_tile_is_not_filled_in(tmp_path, rgb):
    path = write_plain_pyramid(tmp_path / "a.tif", rgb, MPP)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        counts = list(tiff.pages[0].databytecounts)
        counts[3] = 0
        tiff.pages[0].tags["TileByteCounts"].overwrite(counts)
    with pytest.raises(UnreadableImage, match="missing"):
        open_slide(path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.czi", b"ZISRAWFILE", "convert"),
        ("a.vsi", b"II*\0", "convert"),
        ("a.isyntax", b"<?xml", "convert"),
        ("a.svs", b"not a slide at all", "not a slide"),
        ("a.ndpi", b"", "not a slide"),
        ("a.dcm", b"\0" * 128 + b"DICM", "a.dcm"),
        ("a.png", b"text", "not a PNG"),
        ("a.tif", b"II*\0\x08\0\0\0", "a.tif"),
    ],
)
def test_what_is_no_slide_is_one_line(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IhcscoreError, match=match) as caught:
        open_slide(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1
    assert str(tmp_path) not in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none.svs", tmp_path):
        with pytest.raises(IhcscoreError, match="cannot be read"):
            open_slide(path)


def test_an_xml_bomb_in_the_description_does_not_go_off(tmp_path, rgb):
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "'
        + "x" * 50
        + '">'
        + "".join(f'<!ENTITY b{n} "{f"&b{n - 1 if n > 1 else str()};" * 10}">' for n in range(1, 9))
        + ']><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">&b8;</OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", rgb, photometric="rgb", description=bomb, metadata=None, tile=(256, 256))
    with pytest.raises((MissingPixelSize, UnreadableImage, EmptyImage)):
        open_slide(tmp_path / "a.ome.tif")


def test_strips_are_read_piece_by_piece(tmp_path, rgb):
    large = np.tile(rgb, (4, 3, 1))
    with closing(open_slide(write_striped(tmp_path / "a.tif", large, MPP, compression="lzw"))) as slide:
        assert slide.reader.startswith("tifffile")
        np.testing.assert_array_equal(slide.read_level(0, (3000, 2000, 3100, 2100)), large[3000:3100, 2000:2100])


def test_streamed_slides_have_the_pixels_of_their_tiles(tmp_path, rgb):
    def tile(row, col):
        return np.ascontiguousarray(np.tile(rgb, (2, 2, 1))[row * 256 : row * 256 + 256, col * 256 : col * 256 + 256])

    slide = open_slide(write_streamed(tmp_path / "a.svs", (1100, 900), MPP, tile, kind=LOSSLESS))
    np.testing.assert_array_equal(slide.read_level(0, (0, 0, 900, 1100)), rgb[:900, :1100])
    assert slide.level_downsamples == (1.0, 8.0)


def test_kept_pieces_stay_below_the_limit():
    kept = Kept(100)
    made = []

    def make(number):
        made.append(number)
        return np.zeros(40, np.uint8)

    for number in (1, 2, 1, 3, 1, 2):
        kept.get(number, lambda number=number: make(number))
    assert made == [1, 2, 3, 2]


@pytest.mark.parametrize(
    ("level", "factor"), [((500, 250), 2), ((333, 166), 3), ((334, 167), 3), ((400, 200), 2.5), ((1000, 500), 1)]
)
def test_whole_downsamples(level, factor):
    assert whole_downsample((1000, 500), level) == pytest.approx(factor)


def test_another_picture_in_the_file_is_no_level_of_the_first(tmp_path, rgb):
    other = np.ascontiguousarray(rgb[::-2, ::-2])
    with tifffile.TiffWriter(tmp_path / "pages.tif") as tiff:
        for page in (rgb, other):
            tiff.write(page, tile=(256, 256), photometric="rgb", metadata=None)
    with closing(open_slide(tmp_path / "pages.tif", MPP)) as slide:
        assert slide.level_downsamples == (1.0,)
        assert "1 other images in the file are left out" in slide.notes
    small = np.ascontiguousarray(rgb[::2, ::2])
    with tifffile.TiffWriter(tmp_path / "levels.tif") as tiff:
        for page in (rgb, small, small[::2, ::2]):
            tiff.write(page, tile=(256, 256), photometric="rgb", metadata=None)
    with closing(open_slide(tmp_path / "levels.tif", MPP)) as slide:
        assert slide.level_downsamples == (1.0, 2.0, 4.0)
        assert not slide.notes


def test_a_pyramid_beside_others_is_noted(tmp_path, rgb):
    with tifffile.TiffWriter(tmp_path / "two.ome.tif") as tiff:
        options = {"tile": (256, 256), "photometric": "rgb", "metadata": {"axes": "YXS"}}
        for page in (rgb, rgb[::-1]):
            tiff.write(page, subifds=1, **options)
            tiff.write(page[::2, ::2], subfiletype=1, tile=(256, 256), photometric="rgb")
    with closing(open_slide(tmp_path / "two.ome.tif", MPP)) as slide:
        assert slide.level_downsamples == (1.0, 2.0)
        assert "1 other images in the file are left out" in slide.notes


def test_a_series_is_the_same_whichever_file_names_it(tmp_path, rgb):
    files = sorted(write_dicom(tmp_path / "series", rgb, MPP).parent.iterdir())
    assert len(files) > 1
    found = set()
    for path in files:
        with suppress(IhcscoreError), closing(open_slide(path)) as slide:
            found.add(slide_sha256(slide))
    assert len(found) == 1


@pytest.mark.parametrize("level", [255, 0])
def test_a_plain_page_is_no_level_of_tissue(tmp_path, rgb, level):
    plain = np.full((rgb.shape[0] // 2, rgb.shape[1] // 2, 3), level, np.uint8)
    for name, pages in (("a", (rgb, plain)), ("b", (np.full_like(rgb, 255), plain))):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as tiff:
            for page in pages:
                tiff.write(page, tile=(256, 256), photometric="rgb", metadata=None)
    with closing(open_slide(tmp_path / "a.tif", MPP)) as slide:
        assert slide.level_downsamples == (1.0,)
    with closing(open_slide(tmp_path / "b.tif", MPP)) as slide:
        assert slide.level_downsamples == ((1.0, 2.0) if level == 255 else (1.0,))


@pytest.mark.parametrize("suffix", [".qptiff", ".btf", ".tf8"])
def test_a_folder_holds_every_suffix_that_is_read_when_named(tmp_path, suffix):
    rgb = render(load_parameters("nuclear"), 3).rgb[:300, :300]
    path = write_plain_pyramid(tmp_path / f"slide{suffix}", rgb, MPP, downsamples=(1, 2))
    assert [item.path for item in expand_inputs([tmp_path])] == [path]
    with closing(open_slide(path)) as slide:
        np.testing.assert_array_equal(slide.read_level(0, (0, 0, 300, 300)), rgb)


def test_every_file_is_detected_by_one_format():
    assert FORMATS[-1].detects(Path("anything"), b"")
    assert {".svs", ".ndpi", ".mrxs", ".dcm", ".png", ".tif", ".qptiff"} <= set(SUFFIXES)
    assert len({each.name for each in FORMATS}) == len(FORMATS)
