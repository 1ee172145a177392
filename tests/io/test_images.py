"""Reading images, and every file that must not be scored as if nothing were wrong."""

import struct
import zlib
from contextlib import closing

import numpy as np
import pytest
import tifffile
from conftest import discs
from PIL import Image

from ihcscore.errors import IhcscoreError, MissingPixelSize, PixelSizeError, UnreadableImage
from ihcscore.io.images import read_image
from ihcscore.io.slides.opening import open_slide

RGB = discs((40, 50), [(20, 20)], 8)[0]


@pytest.mark.parametrize("name", ["tile.png", "tile.tif", "tile 1 µ 🔬.png", "a.b.c.PNG"])
def test_lossless_files_give_their_pixels(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(RGB).save(path)
    read = read_image(path, 0.5)
    np.testing.assert_array_equal(read.rgb, RGB)
    assert (read.name, read.mpp, read.mpp_origin, read.notes) == (name, 0.5, "given", ())
    assert len(read.sha256) == 64


def test_jpeg_is_read_as_it_decodes(tmp_path):
    path = tmp_path / "tile.jpg"
    Image.fromarray(RGB).save(path, quality=95)
    assert np.abs(read_image(path, 0.5).rgb.astype(int) - RGB).mean() < 4


@pytest.mark.parametrize("dpi", [72, 96, 300])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_dpi_is_never_a_pixel_size(tmp_path, dpi, suffix):
    path = tmp_path / f"tile.{suffix}"
    Image.fromarray(RGB).save(path, dpi=(dpi, dpi))
    with pytest.raises(MissingPixelSize, match="--mpp"):
        read_image(path)


def test_ome_tiff_states_its_pixel_size(tmp_path):
    for number, (size, unit, um) in enumerate([(0.25, "µm", 0.25), (250, "nm", 0.25), (0.0005, "mm", 0.5)]):
        path = tmp_path / f"{number}.ome.tif"
        metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
        tifffile.imwrite(path, RGB, photometric="rgb", metadata=metadata)
        read = read_image(path)
        assert read.mpp == pytest.approx(um)
        assert read.mpp_origin == "OME-XML PhysicalSizeX"
        np.testing.assert_array_equal(read.rgb, RGB)


def test_planar_tiff_is_read(tmp_path):
    path = tmp_path / "planar.ome.tif"
    planes = np.moveaxis(RGB, -1, 0).copy()
    tifffile.imwrite(
        path, planes, photometric="rgb", planarconfig="separate", metadata={"axes": "SYX", "PhysicalSizeX": 0.5}
    )
    np.testing.assert_array_equal(read_image(path).rgb, RGB)


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"), [(20000, "CENTIMETER", 0.5), (50800, "INCH", 0.5), (118, "CENTIMETER", None)]
)
def test_tiff_resolution_counts_when_a_microscope_could_have_it(tmp_path, resolution, unit, mpp):
    path = tmp_path / "tile.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", resolution=(resolution, resolution), resolutionunit=unit)
    if mpp is None:
        with pytest.raises(MissingPixelSize):
            read_image(path)
    else:
        assert read_image(path).mpp == pytest.approx(mpp)


def test_imagej_units_are_read(tmp_path):
    path = tmp_path / "ij.tif"
    tifffile.imwrite(path, RGB[None], imagej=True, resolution=(4, 4), metadata={"unit": "um", "axes": "ZYXS"})
    assert read_image(path).mpp == pytest.approx(0.25)


def test_a_given_pixel_size_wins_and_a_conflict_is_noted(tmp_path):
    path = tmp_path / "tile.ome.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", metadata={"axes": "YXS", "PhysicalSizeX": 0.25})
    read = read_image(path, 0.5)
    assert read.mpp == 0.5
    assert "the file says 0.25" in read.notes[0]
    assert read_image(path, 0.2501).notes == ()


@pytest.mark.parametrize("mpp", [0, -0.5, float("nan"), 1.5, 1e-9])
def test_impossible_pixel_sizes_name_the_file(tmp_path, mpp):
    path = tmp_path / "tile.png"
    Image.fromarray(RGB).save(path)
    with pytest.raises(PixelSizeError, match=r"tile\.png: pixel size"):
        read_image(path, mpp)


@pytest.mark.parametrize(
    ("mode", "suffix", "message"),
    [
        ("L", "png", "gray"),
        ("LA", "png", "gray"),
        ("1", "png", "black and white"),
        ("L", "jpg", "gray"),
        ("CMYK", "jpg", "CMYK"),
        ("CMYK", "tif", "CMYK"),
        ("L", "tif", "not RGB"),
    ],
)
def test_other_color_models_are_refused(tmp_path, mode, suffix, message):
    path = tmp_path / f"tile.{suffix}"
    Image.fromarray(RGB).convert(mode).save(path)
    with pytest.raises(UnreadableImage, match=message):
        read_image(path, 0.5)


def test_sixteen_bits_are_refused(tmp_path):
    wide = (RGB.astype(np.uint16) * 257).copy()
    tifffile.imwrite(tmp_path / "tile.tif", wide, photometric="rgb")
    Image.fromarray(wide[..., 0]).save(tmp_path / "grey16.png")
    png16 = tmp_path / "rgb16.png"
    png16.write_bytes(sixteen_bit_png(wide))
    for name in ("tile.tif", "grey16.png", "rgb16.png"):
        with pytest.raises(UnreadableImage, match="8-bit RGB"):
            read_image(tmp_path / name, 0.5)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, data):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def sixteen_bit_png(rgb):
    height, width = rgb.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
    return png(width, height, 16, 2, zlib.compress(rows))


def test_transparency_is_laid_over_white_and_said(tmp_path):
    alpha = np.full((*RGB.shape[:2], 1), 255, np.uint8)
    Image.fromarray(np.concatenate([RGB, alpha], axis=2)).save(tmp_path / "opaque.png")
    assert read_image(tmp_path / "opaque.png", 0.5).notes == ()
    alpha[:10] = 0
    Image.fromarray(np.concatenate([RGB, alpha], axis=2)).save(tmp_path / "clear.png")
    read = read_image(tmp_path / "clear.png", 0.5)
    assert (read.rgb[:10] == 255).all()
    assert read.notes == ("transparent pixels laid over white",)


def test_palettes_are_expanded_and_said(tmp_path):
    Image.fromarray(RGB).quantize(64).save(tmp_path / "palette.png")
    assert "palette" in read_image(tmp_path / "palette.png", 0.5).notes[0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, suffix, share):
    path = tmp_path / f"tile.{suffix}"
    noisy = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noisy).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UnreadableImage, match=f"tile.{suffix}"):
        read_image(path, 0.5)


@pytest.mark.parametrize(
    "content",
    [b"", b"just text", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\0" * 500],
    ids=["empty", "text", "png signature", "tiff signature", "zeros"],
)
def test_what_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "tile.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=r"not a PNG|truncated"):
        read_image(path, 0.5)


def test_decompression_bombs_are_refused_by_their_header(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60000, 60000, 8, 2, zlib.compress(b"\0" * 100)))
    with pytest.raises(UnreadableImage, match=r"too large|megapixels"):
        read_image(path, 0.5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize(
    "options", [{"compression": "jpeg"}, {"compression": "jpeg", "tile": (64, 64)}, {"tile": (64, 64)}]
)
def test_tiffs_with_missing_parts_are_refused(tmp_path, options, share):
    path = tmp_path / "tile.tif"
    noisy = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    tifffile.imwrite(path, noisy, photometric="rgb", **options)
    assert read_image(path, 0.5).rgb.shape == (200, 200, 3)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UnreadableImage, match=r"tile\.tif: is truncated"):
        read_image(path, 0.5)


def test_other_tiff_colors_are_refused(tmp_path):
    for mode in ("LAB", "YCbCr"):
        Image.fromarray(RGB).convert(mode if mode == "YCbCr" else "RGB").save(tmp_path / f"{mode}.tif")
    with tifffile.TiffFile(tmp_path / "LAB.tif", mode="r+b") as tiff:
        tiff.pages[0].tags["PhotometricInterpretation"].overwrite(8)
    for mode in ("LAB", "YCbCr"):
        with pytest.raises(UnreadableImage, match="photometric"):
            read_image(tmp_path / f"{mode}.tif", 0.5)


def test_pixels_that_are_not_square_are_refused(tmp_path):
    path = tmp_path / "tile.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(path, RGB, photometric="rgb", metadata=metadata)
    with pytest.raises(PixelSizeError, match=r"0\.5 x 0\.25"):
        read_image(path)
    tifffile.imwrite(tmp_path / "t.tif", RGB, photometric="rgb", resolution=(20000, 40000), resolutionunit="CENTIMETER")
    with pytest.raises(PixelSizeError, match="square"):
        read_image(tmp_path / "t.tif")


def test_the_first_image_of_ome_xml_counts(tmp_path):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(RGB, photometric="rgb", metadata={"axes": "YXS"})
        writer.write(RGB, photometric="rgb", metadata={"axes": "YXS", "PhysicalSizeX": 0.9})
    with pytest.raises(MissingPixelSize):
        read_image(path)
    assert "first of 2 images" in read_image(path, 0.5).notes[0]


def test_a_rotation_tag_is_left_out_and_said(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "tile.jpg", exif=exif)
    read = read_image(tmp_path / "tile.jpg", 0.5)
    assert read.rgb.shape == RGB.shape
    assert "orientation tag" in read.notes[0]
    for name, tile in (("flat.tif", None), ("tiled.tif", (16, 16))):
        tifffile.imwrite(tmp_path / name, RGB, photometric="rgb", tile=tile, extratags=[(274, 3, 1, 6, True)])
        with closing(open_slide(tmp_path / name, 0.5)) as slide:
            assert slide.dimensions == RGB.shape[1::-1]
            assert "orientation tag" in slide.notes[0]


def test_large_tiff_headers_are_refused(tmp_path):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, RGB, photometric="rgb")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for tag in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[tag].overwrite(60000)
    with pytest.raises(UnreadableImage, match="megapixels"):
        read_image(path, 0.5)


def test_stacks_say_what_to_do(tmp_path):
    tifffile.imwrite(tmp_path / "stack.ome.tif", np.stack([RGB, RGB]), photometric="rgb", metadata={"axes": "ZYXS"})
    with pytest.raises(UnreadableImage, match="stack"):
        read_image(tmp_path / "stack.ome.tif", 0.5)


def test_a_missing_file_is_an_error_of_the_users_data(tmp_path):
    with pytest.raises(IhcscoreError, match="cannot be read"):
        read_image(tmp_path / "none.png", 0.5)


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_a_fourth_channel_is_what_the_file_says(tmp_path, tile):
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:10] = 100
    rgba = np.dstack([RGB, alpha])
    share = alpha[..., None] / 255
    laid = np.rint(RGB * share + 255 * (1 - share))
    premultiplied = np.dstack([np.rint(RGB * share).astype(np.uint8), alpha])
    cases = {"unassalpha": (rgba, laid), "assocalpha": (premultiplied, laid), "unspecified": (rgba, RGB)}
    for kind, (stored, expected) in cases.items():
        path = tmp_path / f"{kind}.tif"
        tifffile.imwrite(path, stored, photometric="rgb", extrasamples=[kind], tile=tile)
        with closing(open_slide(path, 0.5)) as slide:
            pixels = slide.read_level(0, (0, 0, *RGB.shape[:2]))
            assert np.abs(pixels.astype(int) - expected).max() <= 1
            assert any("fourth channel" in note or "transparent" in note for note in slide.notes)


def test_two_pixel_sizes_in_one_file_are_noted(tmp_path):
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    for name, tile in (("flat.ome.tif", None), ("tiled.ome.tif", (16, 16))):
        for um, notes in ((0.25, 1), (0.5, 0)):
            options = {"resolution": (1e4 / um, 1e4 / um), "resolutionunit": "CENTIMETER"}
            tifffile.imwrite(tmp_path / name, RGB, photometric="rgb", metadata=metadata, tile=tile, **options)
            with closing(open_slide(tmp_path / name)) as slide:
                assert slide.mpp == 0.5
                assert sum("its OME-XML 0.5" in note for note in slide.notes) == notes
