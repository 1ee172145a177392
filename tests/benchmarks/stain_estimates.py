"""Stain vectors estimated from single phantoms: how far off, by how much of the stain is hematoxylin.

    python tests/benchmarks/stain_estimates.py [--fields 160]

Nuclear, cytoplasmic and membranous phantoms of 512 x 512 pixels (seeds 70000 and on), every second one of cells that
are mostly stained, every fourth with DAB all over. Each has its own background given. Then, with the background taken
for white, how many of negative phantoms, of others with few stained cells, and of those stained with AEC and Fast Red
instead are called not H-DAB.
"""

import argparse
import dataclasses
from itertools import pairwise

import numpy as np

from ihcscore.phantom import load_parameters, render
from ihcscore.stains.estimate import ESTIMATED, KNOWN, estimate_stains
from ihcscore.stains.vectors import RUIFROK_DAB, RUIFROK_HEMATOXYLIN, angle_deg

MARKERS = ("nuclear", "cytoplasmic", "membranous")
SHARES = (0, 0.05, 0.1, 0.2, 0.4, 1)


def parameters(number, chance):
    typical = load_parameters(MARKERS[number % len(MARKERS)])
    drawn = {"size_px": (512, 512), "marker_od": float(np.exp(chance.uniform(np.log(0.2), np.log(1.6))))}
    if number % 2:
        drawn |= {"positive_share": (0.6, 1.0), "stroma_share": (0, 0.1)}
    if number % 4 == 1:
        drawn |= {"background_dab_od": (0, 0.3)}
    return dataclasses.replace(typical, **drawn)


def called_other(marker, fields, **changes):
    """Count the phantoms of a marker that are warned of as not H-DAB."""
    drawn = dataclasses.replace(load_parameters(marker), **changes)
    seen = [estimate_stains(render(drawn, 71_000 + number).rgb) for number in range(fields)]
    return sum(not found.looks_like_hdab for found in seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=160)
    fields = parser.parse_args().fields
    chance = np.random.default_rng(5)
    rows = []
    for number in range(fields):
        phantom = render(parameters(number, chance), 70_000 + number)
        found = estimate_stains(phantom.rgb, phantom.background)
        if found.status != ESTIMATED:
            continue
        true = phantom.stains.hematoxylin, phantom.stains.dab
        pairs = zip((*found.found, RUIFROK_HEMATOXYLIN, RUIFROK_DAB), true * 2, strict=True)
        rows.append((found.share_hematoxylin, *(angle_deg(*pair) for pair in pairs)))
    share, *away = np.array(rows).T
    print(f"{len(rows)} of {fields} estimated; degrees from the truth, median and largest; of the default, median")
    for low, high in pairwise(SHARES):
        chosen = (share >= low) & (share < high)
        if chosen.any():
            h, d, default_h, default_d = (values[chosen] for values in away)
            print(
                f"hematoxylin {low:.0%} to {high:.0%} ({chosen.sum()} fields): hematoxylin {np.median(h):.1f}, "
                f"{h.max():.1f}, {np.median(default_h):.1f}; DAB {np.median(d):.1f}, {d.max():.1f}, "
                f"{np.median(default_d):.1f}"
            )
    some = -(-fields // len(MARKERS))
    print(f"not H-DAB: of {fields} negative phantoms {called_other('negative', fields)}")
    few = sum(called_other(marker, some, positive_share=(0.02, 0.1)) for marker in MARKERS)
    print(f"of {some * len(MARKERS)} with 2 to 10 % of the tumor cells stained {few}")
    for name in ("AEC", "Fast Red"):
        for share in ((0.02, 0.1), (0.3, 1.0)):
            other = [called_other(marker, some, dab_vector=KNOWN[name], positive_share=share) for marker in MARKERS]
            print(f"of {some * len(MARKERS)} with {name} in {share[0]:.0%} to {share[1]:.0%} {sum(other)}")


if __name__ == "__main__":
    main()
