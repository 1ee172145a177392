"""The compiled kernels against slow and obvious references."""

import ctypes
import json
import re
import shutil

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ihcscore.cells.contours import boxes_of, outlines, rings_of, trace
from ihcscore.cells.label_runs import LabelRuns
from ihcscore.cells.membrane.profiles import BEFORE, LONGEST, RAYS, SAMPLES, STEP_UM, read_profiles
from ihcscore.cells.membrane.reader import decode_proposals
from ihcscore.cells.segmentation.split import Stained, split
from ihcscore.errors import IhcscoreError
from ihcscore.kernels import library
from ihcscore.kernels.split import renumber_labels
from ihcscore.results.writers.rings import ring_texts
from ihcscore.stains.density import optical_density
from ihcscore.stains.levels import dab_levels
from ihcscore.stains.unmix import unmix, unmix_light
from ihcscore.stains.vectors import StainMatrix

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def test_arrays_of_another_type_or_layout_are_refused():
    out = np.empty((4, 3), np.float32)
    good = np.zeros((4, 3), np.float32), np.eye(3, dtype=np.float32)
    assert library.run("transform", 4, *good, out) == 0
    for wrong in (good[0].astype(np.float64), np.zeros((3, 4), np.float32).T, np.zeros((4, 6), np.float32)[:, ::2]):
        with pytest.raises(ctypes.ArgumentError):
            library.run("transform", 4, wrong, good[1], out)


def test_each_kernel_takes_what_its_source_says():
    """A call that fits another signature would not be refused: it would read and write anywhere."""
    numbers = {"int64_t": ctypes.c_int64, "int32_t": ctypes.c_int32, "float": ctypes.c_float, "double": ctypes.c_double}
    arrays = {"uint8_t": np.uint8, "uint32_t": np.uint32, "int32_t": np.int32, "int64_t": np.int64}
    arrays |= {"float": np.float32, "double": np.float64}
    source = "".join(path.read_text("utf-8") for path in library.FILE.parent.glob("*.c"))
    found = {}
    for name, arguments in re.findall(r"EXPORT int64_t ihc_(\w+)\(([^)]*)\)", source):
        words = [argument.replace("const ", "").split() for argument in arguments.split(",")]
        found[name] = [np.dtype(arrays[kind]) if value[0] == "*" else numbers[kind] for kind, value in words]
    stated = {
        name: [getattr(each, "_dtype_", each) for each in signature] for name, signature in library.SIGNATURES.items()
    }
    assert found == stated


def test_a_missing_library_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "FILE", tmp_path / "_kernels.so")
    library._library.cache_clear()
    try:
        with pytest.raises(IhcscoreError, match=r"_kernels.so, the compiled part of ihcscore, is missing: install"):
            library.run("transform", 0, *(np.zeros((0, 3), np.float32),) * 3)
    finally:
        library._library.cache_clear()


def test_a_library_of_other_sources_is_refused(monkeypatch, tmp_path):
    for path in library.FILE.parent.glob("*.[ch]"):
        shutil.copy(path, tmp_path)
    shutil.copy(library.FILE, tmp_path)
    monkeypatch.setattr(library, "FILE", tmp_path / library.FILE.name)
    library._library.cache_clear()
    try:
        library.run("transform", 0, *(np.zeros((0, 3), np.float32),) * 3)
        library._library.cache_clear()
        (tmp_path / "cell_measurement.c").write_text("another")
        with pytest.raises(IhcscoreError, match="compiled from other sources"):
            library.run("transform", 0, *(np.zeros((0, 3), np.float32),) * 3)
    finally:
        library._library.cache_clear()


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 6), st.integers(1, 6), st.just(3))))
def test_each_way_to_unmix_gives_the_same_bytes(rgb):
    stains, light = StainMatrix((0.6, 0.7, 0.3), (0.3, 0.5, 0.8)), (240, 231, 250)
    whole = unmix_light(rgb, light, stains)
    levels = np.rint(np.clip((whole[..., 1] + np.float32(0.2)) * np.float32(100), 0, 255))
    np.testing.assert_array_equal(dab_levels(rgb, light, stains), levels)
    np.testing.assert_array_equal(unmix(optical_density(rgb, light, clip=False), stains), whole)
    np.testing.assert_allclose(whole, optical_density(rgb, light, clip=False) @ stains.inverse, atol=2e-6)


def top_of(level, y, x):
    """Summit that a pixel climbs to: the highest of itself and its neighbours, again and again."""
    best = level[y, x] << 3 | 4, (y, x)
    for direction, (dy, dx) in enumerate(((-1, 0), (0, -1), (0, 1), (1, 0))):
        if 0 <= y + dy < level.shape[0] and 0 <= x + dx < level.shape[1]:
            best = max(best, (level[y + dy, x + dx] << 3 | direction, (y + dy, x + dx)))
    return (y, x) if best[1] == (y, x) else top_of(level, *best[1])


def hills_of(height, mask, depth, stained=None):
    """Hills by the rule: those that stain parts are kept apart once the others are one with the lesser depth."""
    level = np.maximum(height, 1).astype(int) * mask
    tops = {(y, x): top_of(level, y, x) for y, x in np.argwhere(mask).tolist()}
    summits = sorted(set(tops.values()))
    hill = {pixel: summits.index(top) for pixel, top in tops.items()}
    rank = [(level[top], -k) for k, top in enumerate(summits)]  # among equals the first is the higher
    borders = [
        (pixel, (pixel[0] + dy, pixel[1] + dx), min(level[pixel], level[pixel[0] + dy, pixel[1] + dx]))
        for dy, dx in ((0, 1), (1, 0))
        for pixel in hill
        if (pixel[0] + dy, pixel[1] + dx) in hill
    ]
    if stained and stained.depth < depth:
        merge_hills(hill, borders, rank, stained.depth)
        pairs = {}
        for one, other, saddle in borders:
            pairs.setdefault(tuple(sorted((hill[one], hill[other]))), []).append((saddle, one, other))
        borders = []
        for pair, ways in sorted(pairs.items()):
            both = np.mean([int(stained.plane[one]) + int(stained.plane[other]) for _, one, other in ways]) / 2
            if both < max(int(stained.plane[summits[k]]) for k in pair) + stained.denser:
                borders += [(one, other, saddle) for saddle, one, other in ways]
    merge_hills(hill, borders, rank, depth)
    out = np.zeros(height.shape, np.int32)
    for pixel, number in hill.items():
        out[pixel] = number + 1
    return out


def merge_hills(hill, borders, rank, depth):
    """Let each hill join the higher one behind its highest saddle, if that is not too deep, four times."""
    for _ in range(4):
        joins = {}
        for pixel, beside, saddle in borders:
            low, high = sorted((hill[pixel], hill[beside]), key=rank.__getitem__)
            if low != high and rank[low][0] - saddle < depth:
                way = saddle, rank[high][0], high
                if low not in joins or way[:2] > joins[low][:2]:
                    joins[low] = way
        for pixel, number in hill.items():
            while number in joins:
                number = joins[number][2]
            hill[pixel] = number


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_hills_are_those_of_the_rule(data):
    shape = data.draw(SHAPES)
    height = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 9)))
    mask = data.draw(hnp.arrays(bool, shape))
    depth = data.draw(st.integers(1, 12))
    np.testing.assert_array_equal(split(height, mask, depth), hills_of(height, mask, depth))
    plane = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 9)))
    stained = Stained(plane, data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3)))
    np.testing.assert_array_equal(split(height, mask, depth, stained), hills_of(height, mask, depth, stained))


def test_an_ascent_has_a_bounded_reach():
    height = np.arange(1, 51, dtype=np.uint8)[None]
    labels = split(height, np.ones(height.shape, bool), 1)
    np.testing.assert_array_equal(labels[0] > 0, np.arange(50) >= 50 - 1 - 32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rays_are_read_as_they_lie(seed):
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (2, 30, 40)).astype(np.uint8)
    nuclei = rng.integers(0, 3, levels.shape[1:]).astype(np.int32)
    xy = np.rint(rng.uniform(0, 30, (2, 2)) * 32) / 32
    found = read_profiles(levels, nuclei, xy, range(2), 0.5)
    for cell in range(2):
        for ray in range(0, RAYS, 5):
            way = np.array([np.cos(2 * np.pi * ray / RAYS), np.sin(2 * np.pi * ray / RAYS)])
            steps = np.rint(32 * way[:, None] * np.arange(-BEFORE, LONGEST + SAMPLES)) / 32
            x, y = (xy[cell] - 0.5)[:, None] + steps
            near = nuclei[np.clip(np.floor(y + 0.5), 0, 29).astype(int), np.clip(np.floor(x + 0.5), 0, 39).astype(int)]
            own = near[BEFORE : BEFORE + LONGEST].reshape(-1, 7) == cell + 1
            edge = own[np.logical_and.accumulate(own.any(axis=1))].sum()
            assert found.edge_um[cell, ray] == edge * STEP_UM
            seen = slice(edge, edge + SAMPLES)
            np.testing.assert_array_equal(found.other[cell, ray], (near[seen] > 0) & (near[seen] != cell + 1))
            left, top = np.floor(x[seen]).astype(int), np.floor(y[seen]).astype(int)
            right, below = x[seen] - left, y[seen] - top
            expected = 0
            for dy, share_y in ((0, 1 - below), (1, below)):
                for dx, share_x in ((0, 1 - right), (1, right)):
                    value = levels[:, np.clip(top + dy, 0, 29), np.clip(left + dx, 0, 39)]
                    expected = expected + share_x * share_y * value
            np.testing.assert_array_equal(found.level[:, cell, ray], np.floor(expected + 0.5))


@given(st.lists(st.lists(st.tuples(*(st.integers(-(10**9), 10**9),) * 2), min_size=1, max_size=4), max_size=4))
def test_rings_are_written_as_json_reads_them(rings):
    xy = np.array([point for ring in rings for point in ring], np.float64).reshape(-1, 2) / 100
    texts = ring_texts(xy, np.array([*map(len, rings)], np.int64))
    assert [json.loads(text) for text in texts] == [[[x / 100, y / 100] for x, y in ring] for ring in rings]


@given(hnp.arrays(np.int32, SHAPES, elements=st.integers(0, 3)))
def test_outlines_are_read_as_they_were_written(labels):
    shapes = outlines(labels, 3)
    wkb = trace(LabelRuns.of(labels, 3)).wkb((3, -2), 0.5)
    there = np.flatnonzero(~wkb.isna())
    xy, size = rings_of(wkb[there])
    simple = [k for k in there if shapes[k].geom_type == "Polygon" and not shapes[k].interiors]
    assert there[size > 0].tolist() == simple
    np.testing.assert_array_equal(
        boxes_of(wkb[there]), (shapely.bounds(shapes[there]) + np.array([3, -2, 3, -2])) * 0.5
    )
    for k, ring in zip(simple, np.split(xy, np.cumsum(size[size > 0]))[:-1], strict=True):
        np.testing.assert_array_equal(ring, (shapely.get_coordinates(shapes[k]) + np.array([3, -2])) * 0.5)


def test_what_is_no_label_harms_nothing():
    labels = np.array([[-5, 1, 1, 9], [2**31 - 1, 1, 0, -(2**31)]], np.int32)
    assert LabelRuns.of(labels, 1).areas.tolist() == [3]
    number = np.array([0, 7], np.int32)
    renumber_labels(labels, number)
    assert labels.tolist() == [[0, 7, 7, 0], [0, 7, 0, 0]]


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, (2, 3, 2, 4, SAMPLES // 4, RAYS // 4), elements=st.floats(-60, 60, width=32)),
    hnp.arrays(np.float32, SAMPLES // 2, elements=st.floats(-9, 9, width=32)),
)
def test_what_is_chosen_along_a_ray_is_a_mean_weighted_by_a_softmax(proposals, prior):
    od, line, step = decode_proposals(proposals.reshape(2, 24, SAMPLES // 4, RAYS // 4), prior)
    place, density, logit = (
        proposals[:, k].astype(np.float64).transpose(0, 4, 2, 3, 1).reshape(2, RAYS, -1) for k in range(3)
    )
    place += prior
    weight = np.exp(place - place.max(axis=2, keepdims=True))
    weight /= weight.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(step, (weight * 2 * np.arange(SAMPLES // 2)).sum(axis=2), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(od, np.logaddexp(0, 4 * (weight * density).sum(axis=2)) / 4, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(line, 1 / (1 + np.exp(-(weight * logit).sum(axis=2))), rtol=1e-3, atol=1e-5)
