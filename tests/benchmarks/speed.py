"""Speed and memory on a 4096 x 4096 image at 0.5 um/px, one thread, as ratios measured side by side in one run.

python tests/benchmarks/speed.py [--side 4096] [--repeats 3] [--segmenters network watershed]

Beside scikit-image's `rgb2hed` (warm) and a straightforward scikit-image pipeline on the same pixels. The image is a
mosaic of frozen phantoms. The whole command is measured as a process: CPU time and peak memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[variable] = "1"

import cv2
import numpy as np
from phantom_hscore import PARAMETERS
from scipy import ndimage as ndi
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import regionprops_table
from skimage.segmentation import expand_labels, watershed

from ihcscore import load_assay, measure_image, score_cells
from ihcscore.cells import contours
from ihcscore.cells.compartments import NUCLEUS
from ihcscore.cells.membrane import measure_membranes
from ihcscore.phantom import load_parameters, render
from ihcscore.tiles import tile

cv2.setNumThreads(1)
MEASURE = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
    "use = resource.getrusage(resource.RUSAGE_CHILDREN);"
    "print(code, use.ru_utime + use.ru_stime, use.ru_maxrss)"
)
SCORE = [sys.executable, "-m", "ihcscore.cli.app", "score", "--mpp", "0.5", "--segmenter"]


def mosaic(side):
    parameters = load_parameters(PARAMETERS)
    count = -(-side // 512)
    rows = [[render(parameters, seed).rgb for seed in range(r * count, (r + 1) * count)] for r in range(count)]
    return np.ascontiguousarray(np.vstack([np.hstack(row) for row in rows])[:side, :side])


def straightforward(rgb):
    """What a home-made script does: rgb2hed, Otsu, distance watershed, region properties of nuclei and cells."""
    hed = rgb2hed(rgb)
    signal = gaussian(hed[..., 0] + hed[..., 2], 1.5)
    mask = ndi.binary_opening(signal > threshold_otsu(signal), iterations=2)
    distance = gaussian(ndi.distance_transform_edt(mask), 1)
    peaks = peak_local_max(distance, min_distance=5, labels=mask.astype(int))
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    nuclei = watershed(-distance, markers, mask=mask)
    properties = (
        "label",
        "centroid",
        "area",
        "perimeter",
        "solidity",
        "mean_intensity",
        "min_intensity",
        "max_intensity",
    )
    for labels in (nuclei, expand_labels(nuclei, 10)):
        regionprops_table(labels, hed[..., 2], properties=properties)
    return nuclei


def cpu(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def command(arguments):
    # installers compile a package once; a setting of the developer's must not make each start do it again
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = [sys.executable, "-c", MEASURE, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=settings)
    code, seconds, peak = done.stdout.split()
    if code != "0":
        sys.exit(f"{' '.join(arguments)} ended with {code}: {done.stderr}")
    return float(seconds), int(peak) / 1024


def added(segmenter, rgb):
    """CPU seconds of a tile of which only the nuclei are measured; with compartments; with membranes; of its scores."""
    assay = load_assay("generic-nuclear").replace(segmenter=segmenter)
    membranes = dict.fromkeys(measure_membranes(rgb[..., 0], rgb[..., 0], np.zeros((0, 2)), 0.5, ()))
    seconds = []
    for replaced in (nuclei_alone(membranes), without(membranes), {"trace": contours.trace}):
        with mock.patch.multiple(tile, **replaced):
            seconds.append(cpu(lambda: measure_image(rgb, mpp=0.5, assay=assay)))
    cells = measure_image(rgb, mpp=0.5, assay=assay).cells
    return [*seconds, cpu(lambda: score_cells(cells, assay))]


def without(membranes):
    return {"measure_membranes": lambda dab, nuclei, xy, *_: {name: np.zeros(len(xy)) for name in membranes}}


def nuclei_alone(membranes):
    """Cells are their nuclei, which are traced once."""
    traced = []

    def trace(*given):
        if traced:
            return traced.pop()
        traced.append(contours.trace(*given))
        return traced[0]

    return {
        "expand": lambda nuclei, *_: nuclei,
        "partition": lambda nuclei, *_, **__: np.full(nuclei.shape, NUCLEUS, np.uint8),
        "trace": trace,
        **without(membranes),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--segmenters", nargs="+", default=["network", "watershed"])
    options = parser.parse_args()
    rgb = mosaic(options.side)
    megapixels = rgb.shape[0] * rgb.shape[1] / 1e6
    rows = {name: [] for name in options.segmenters}
    with tempfile.TemporaryDirectory() as folder:
        tile, small = Path(folder) / "tile.png", Path(folder) / "small.png"
        cv2.imwrite(str(tile), rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        cv2.imwrite(str(small), rgb[:64, :64, ::-1])
        command([*SCORE, "network", str(small), "-o", str(Path(folder) / "first")])
        for repeat in range(options.repeats):
            for name in options.segmenters:
                rows[name].append(measure(name, rgb, (tile, small), Path(folder) / f"{name}{repeat}"))
                hed, measured, whole, peak, start = rows[name][-1]
                print(
                    f"{name}: rgb2hed {1e3 * hed / megapixels:.0f} ms/MP, pixels to table "
                    f"{1e3 * measured / megapixels:.0f} ms/MP = {measured / hed:.1f} x, command {whole:.1f} s CPU "
                    f"= {whole / hed:.1f} x, peak {peak:.0f} MB, on 64 x 64 pixels {start:.2f} s",
                    flush=True,
                )
        quarter = rgb[: options.side // 2, : options.side // 2].copy()
        simple = cpu(lambda: straightforward(quarter)) * 4
    for name in rows:
        seconds = np.array([added(name, quarter) for _ in range(options.repeats)])
        alone, parted, whole, scored = np.median(seconds / seconds[:, :1], axis=0)
        more = 4 * np.median(seconds[:, 2:].sum(axis=1) - seconds[:, 0])
        command_alone = np.median([row[2] for row in rows[name]]) - more
        print(
            f"{name}: to the time of a tile with nuclei alone, compartments add {parted - alone:.0%}, membranes "
            f"{whole - parted:.0%}, scores with their intervals {scored:.0%}: {whole + scored - alone:.0%} in all; to "
            f"that of the command without them {more / command_alone:.0%}"
        )
    for name, measured in rows.items():
        table = np.array(measured)
        ratio = np.median(table[:, 1:3] / table[:, :1], axis=0)
        print(f"{name}, median: pixels to table {ratio[0]:.1f} x rgb2hed, whole command {ratio[1]:.1f} x;", end=" ")
        print(
            f"a straightforward scikit-image script takes {simple / np.median(table[:, 1]):.1f} x the time to the table"
        )


def measure(segmenter, rgb, files, out):
    """CPU seconds of rgb2hed, of pixels to table and of the command; its peak in MB; seconds on a tiny tile."""
    assay = load_assay("generic-nuclear").replace(segmenter=segmenter)
    measure_image(rgb[:64, :64].copy(), mpp=0.5, assay=assay)  # what is loaded once is not part of the rate
    rgb2hed(rgb)  # so that the next one finds its memory mapped
    hed = cpu(lambda: rgb2hed(rgb))
    measured = cpu(lambda: measure_image(rgb, mpp=0.5, assay=assay))
    whole, peak = command([*SCORE, segmenter, str(files[0]), "-o", str(out)])
    start, _ = command([*SCORE, segmenter, str(files[1]), "-o", f"{out}small"])
    return hed, measured, whole, peak, start


if __name__ == "__main__":
    main()
