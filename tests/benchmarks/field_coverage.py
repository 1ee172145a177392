"""How often the 95 % interval of a rendered field holds the H-score of the tissue it was cut from.

    python tests/benchmarks/field_coverage.py [--phantoms 8] [--side 3840] [--field 768]

Large nuclear phantoms of one set of parameters (the middle of each range of the preset, no glass) are cut into fields;
each is scored end to end with its own background and vectors. What the segmenter and the optics add to the H-score on
the mean is the bias; with it taken off, what is left is sampling, which is what an interval is about.
"""

import argparse
import dataclasses

import numpy as np

from ihcscore import load_assay, score_image
from ihcscore.phantom import load_parameters, render
from ihcscore.phantom.limits import FIXED


def middle(preset, **changes):
    ranges = {f.name: getattr(preset, f.name) for f in dataclasses.fields(preset) if f.name not in FIXED}
    fixed = {name: (sum(ends) / 2,) * 2 for name, ends in ranges.items()}
    return dataclasses.replace(preset, **{**fixed, **changes})


def fields(parameters, seed, side):
    phantom = render(parameters, seed)
    assay = load_assay("generic-nuclear").replace(background=tuple(phantom.background), stains=phantom.stains)
    rows, columns = phantom.rgb.shape[:2]
    for top in range(0, rows - side + 1, side):
        for left in range(0, columns - side + 1, side):
            rgb = np.ascontiguousarray(phantom.rgb[top : top + side, left : left + side])
            found = score_image(rgb, mpp=parameters.mpp, assay=assay).scores.scores["h_score"]
            yield phantom.h_score(), found.value, found.low, found.high


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=8)
    parser.add_argument("--side", type=int, default=3840)
    parser.add_argument("--field", type=int, default=768)
    given = parser.parse_args()
    parameters = middle(load_parameters("nuclear"), size_px=(given.side, given.side), glass_share=(0, 0))
    found = [row for k in range(given.phantoms) for row in fields(parameters, 30000 + k, given.field)]
    true, value, low, high = np.array(found, np.float64).T
    bias = (value - true).mean()
    held = (low <= true) & (true <= high)
    apart = (low - bias <= true) & (true <= high - bias)
    print(f"{len(found)} fields, true H {true.min():.0f} to {true.max():.0f}, spread of the fields' {value.std():.1f}")
    print(f"mean width {np.mean(high - low):.0f}, coverage {held.mean():.1%}")
    print(f"bias {bias:+.1f}, coverage without it {apart.mean():.1%}")


if __name__ == "__main__":
    main()
