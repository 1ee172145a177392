"""Score annotated tiles with one setting and compare with their hand-drawn nuclei.

python tests/benchmarks/annotated_tiles.py --truth DIR [--evaluate EVALUATE.PY] [--assay NAME|FILE] [--segmenter NAME]
    [--background auto] [--out DIR] [--json FILE]

DIR holds manifest.json and the tiles it names; EVALUATE.PY compares GeoJSON with them (by default
../../evaluate/evaluate.py beside DIR). Neither is part of this project.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ihcscore.batch import score_files
from ihcscore.cli.options import assay_with, changes
from ihcscore.io.inputs import ImageInput
from ihcscore.results import GEOJSON


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--evaluate", type=Path)
    parser.add_argument("--assay")
    parser.add_argument("--segmenter")
    parser.add_argument("--background")
    parser.add_argument("--thresholds")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    evaluate = options.evaluate or options.truth.resolve().parent.parent / "evaluate" / "evaluate.py"
    fields = changes(options.thresholds, background=options.background, segmenter=options.segmenter)
    assay = assay_with(options.assay, fields)
    manifest = json.loads((options.truth / "manifest.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder) / "result"
        images = [ImageInput(options.truth / e["image"], name, mpp=e["mpp"]) for name, e in manifest.items()]
        report = score_files(images, assay, out, overwrite=True)
        if report.failed:
            sys.exit("\n".join(report.failed))
        cells = Path(folder) / "cells"
        cells.mkdir()
        for name in manifest:
            shutil.copy(out / name / GEOJSON, cells / f"{name}.geojson")
        command = [sys.executable, str(evaluate), str(cells), "--truth", str(options.truth)]
        if options.json:
            command += ["--json", str(options.json)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
