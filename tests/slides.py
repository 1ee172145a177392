"""Write slides as scanners and other tools do, from arrays or tile by tile."""

import contextlib
import io
from collections.abc import Callable

import imagecodecs
import numpy as np
import tifffile

TILE = 256
LOSSLESS, JPEG, JPEG_LS = "lossless", "jpeg", "jpeg-ls"


def levels_of(rgb, downsamples):
    """Reduce an image by the mean of squares; what does not fill one at the far edges is left out."""
    for factor in downsamples:
        height, width = (length // factor for length in rgb.shape[:2])
        part = rgb[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
        yield np.floor(part.mean(axis=(1, 3)) + 0.5).astype(np.uint8) if factor > 1 else rgb


def tiles_of(rgb):
    """Cut an image into tiles, row by row, padded with white."""
    rows, cols = (-(-length // TILE) for length in rgb.shape[:2])
    for row in range(rows):
        for col in range(cols):
            tile = np.full((TILE, TILE, 3), 255, np.uint8)
            part = rgb[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def coding(kind, quality=90):
    """Options of tifffile for a coding."""
    if kind == JPEG:
        return {"compression": "jpeg", "compressionargs": {"level": quality}, "photometric": "rgb"}
    return {"compression": "deflate", "photometric": "rgb"}


def description(width, height, mpp):
    """What Aperio writes; with a patient's name, which must not get into results."""
    return (
        f"Aperio Image Library v12.0.15\r\n{width}x{height} [0,0 {width}x{height}] ({TILE}x{TILE})|AppMag = 20|"
        f"MPP = {mpp}|User = Jane Doe|Patient = John Roe"
    )


def write_svs(path, rgb, mpp, *, kind=LOSSLESS, downsamples=(1, 4)):
    """Write an Aperio-like SVS with label and macro image."""
    height, width = rgb.shape[:2]
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels_of(rgb, downsamples)):
            text = description(width, height, mpp)
            tiff.write(level, tile=(TILE, TILE), description=text, metadata=None, software=False, **coding(kind))
            if number == 0:
                small = np.ascontiguousarray(rgb[::8, ::8])
                tiff.write(small, description=text, metadata=None, rowsperstrip=16, photometric="rgb")
        for name in ("label", "macro"):
            picture = np.full((64, 96, 3), 128, np.uint8)
            tiff.write(
                picture, description=f"Aperio\r\n{name} 96x64", metadata=None, rowsperstrip=64, photometric="rgb"
            )
    return path


def write_streamed(path, size, mpp, tile: Callable[[int, int], np.ndarray], *, kind=JPEG, quality=90):
    """Write an Aperio-like SVS of level 0 and a level 8 x smaller, tile by tile; `tile` gives one by row and column."""
    width, height = size
    rows, cols = -(-height // TILE), -(-width // TILE)
    small = np.full((height // 8, width // 8, 3), 255, np.uint8)

    def tiles():
        for row in range(rows):
            for col in range(cols):
                pixels = tile(row, col)
                y, x = row * TILE // 8, col * TILE // 8
                part = pixels.reshape(TILE // 8, 8, TILE // 8, 8, 3).mean(axis=(1, 3))
                room = small[y : y + TILE // 8, x : x + TILE // 8]
                room[:] = np.rint(part)[: room.shape[0], : room.shape[1]]
                yield pixels

    options = {"tile": (TILE, TILE), "description": description(width, height, mpp), "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(tiles(), shape=(height, width, 3), dtype=np.uint8, **options, **coding(kind, quality))
        tiff.write(small, **options, **coding(kind, quality))
    return path


def write_ome_tiff(path, rgb, mpp, *, kind=LOSSLESS, downsamples=(1, 2, 4)):
    """Write an OME-TIFF whose levels are SubIFDs."""
    metadata = {"axes": "YXS"} | {f"PhysicalSize{a}": mpp for a in "XY"} | {f"PhysicalSize{a}Unit": "µm" for a in "XY"}
    options = {"tile": (TILE, TILE), **coding(kind)}
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels_of(rgb, downsamples)):
            if number == 0:
                tiff.write(level, subifds=len(downsamples) - 1, metadata=metadata, **options)
            else:
                tiff.write(level, subfiletype=1, **options)
    return path


def resolution(mpp):
    return {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}


def write_plain_pyramid(path, rgb, mpp, *, kind=LOSSLESS, downsamples=(1, 2, 4)):
    """Write a tiled TIFF with one page for each level, as libvips and ImageMagick do."""
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels_of(rgb, downsamples)):
            page = {"subfiletype": int(number > 0), "metadata": None, **resolution(mpp * downsamples[number])}
            tiff.write(level, tile=(TILE, TILE), **page, **coding(kind))
    return path


def write_striped(path, rgb, mpp, **options):
    """Write a TIFF in strips."""
    tifffile.imwrite(path, rgb, photometric="rgb", rowsperstrip=64, metadata=None, **resolution(mpp), **options)
    return path


def write_dicom(folder, rgb, mpp, *, kind=LOSSLESS, downsamples=(1, 4)):
    """Write a DICOM whole-slide series with pydicom: a file for each level, uncompressed or JPEG."""
    import pydicom
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLSLossless, generate_uid

    folder.mkdir(exist_ok=True)
    series, study, frame_of_reference = (generate_uid(entropy_srcs=[folder.name, str(k)]) for k in range(3))
    paths = []
    for number, (level, factor) in enumerate(zip(levels_of(rgb, downsamples), downsamples, strict=True)):
        height, width = level.shape[:2]
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
        syntaxes = {JPEG: JPEGBaseline8Bit, JPEG_LS: JPEGLSLossless}
        meta.TransferSyntaxUID = syntaxes.get(kind, ExplicitVRLittleEndian)
        path = folder / f"level{number}.dcm"
        data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID = series, study
        data.FrameOfReferenceUID = frame_of_reference
        data.Modality, data.PatientName, data.PatientID = "SM", "Roe^John", "12345"
        data.ImageType = ["DERIVED" if number else "ORIGINAL", "PRIMARY", "VOLUME", "RESAMPLED" if number else "NONE"]
        data.TotalPixelMatrixColumns, data.TotalPixelMatrixRows = width, height
        data.Rows = data.Columns = TILE
        data.SamplesPerPixel, data.PlanarConfiguration = 3, 0
        data.PhotometricInterpretation = "YBR_FULL_422" if kind == JPEG else "RGB"
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation = 7, 0
        data.DimensionOrganizationType = "TILED_FULL"
        data.TotalPixelMatrixFocalPlanes = data.NumberOfOpticalPaths = 1
        measures, groups = Dataset(), Dataset()
        measures.PixelSpacing = [mpp * factor / 1000] * 2
        measures.SliceThickness = 0.001
        groups.PixelMeasuresSequence = [measures]
        data.SharedFunctionalGroupsSequence = [groups]
        data.ImagedVolumeWidth, data.ImagedVolumeHeight = width * mpp * factor / 1000, height * mpp * factor / 1000
        optics = Dataset()
        optics.OpticalPathIdentifier = "1"
        data.OpticalPathSequence = [optics]
        frames = [frame_bytes(tile, kind) for tile in tiles_of(level)]
        data.NumberOfFrames = len(frames)
        data.LossyImageCompression = "01" if kind == JPEG else "00"
        data.PixelData = b"".join(frames) if kind == LOSSLESS else encapsulate(frames)
        data["PixelData"].is_undefined_length = kind != LOSSLESS
        with contextlib.suppress(ValueError):
            pydicom.dcmwrite(path, data, enforce_file_format=True)
        paths.append(path)
    return paths[0]


def frame_bytes(tile, kind):
    if kind == JPEG_LS:
        return imagecodecs.jpegls_encode(tile)
    if kind != JPEG:
        return tile.tobytes()
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(tile).save(out, "JPEG", quality=90, subsampling=1)
    return out.getvalue()
