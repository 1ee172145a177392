"""Slides are scored the same by any workers, in regions and after a kill; what fails is a row, and the rest goes on."""

import csv
import dataclasses
import errno
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from conftest import discs
from PIL import Image
from slides import LOSSLESS, write_dicom, write_ome_tiff, write_plain_pyramid, write_streamed, write_svs

from ihcscore import load_assay
from ihcscore.errors import IhcscoreError, OutputError
from ihcscore.io.atomic import alone_in
from ihcscore.io.manifests import expand_inputs
from ihcscore.phantom import load_parameters, render
from ihcscore.results.writers.summary import read_summary
from ihcscore.results.writers.tables import read_cells
from ihcscore.tiles import store
from ihcscore.tiles.executors import ProcessExecutor, SerialExecutor, make_executor
from ihcscore.tiles.tile import measure_tile
from ihcscore.workflows.replay import replay
from ihcscore.workflows.rescore_folder import rescore_folder
from ihcscore.workflows.score_folder import score_files

ASSAY = load_assay("generic-nuclear").replace(segmenter="watershed")
WIDTH, HEIGHT, PITCH = 6200, 4200, 60
"""Four blocks across, three down; nuclei on a grid that crosses their borders."""


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    places = [(x, y) for y in range(28, 840, PITCH) for x in range(28, 840, PITCH)]
    field, _ = discs((840, 840), places, 8, dab=np.linspace(0, 0.9, len(places)))

    def tile(row, col):
        rows, cols = ((np.arange(256) + at * 256) % 840 for at in (row, col))
        return np.ascontiguousarray(field[rows][:, cols])

    return write_streamed(tmp_path_factory.mktemp("s") / "grid.svs", (WIDTH, HEIGHT), 0.5, tile, kind=LOSSLESS)


def run(path, out, assay=ASSAY, regions=None, **options):
    return score_files(expand_inputs([path], None, None, regions), assay, out, **options)


def bytes_of(out):
    (path,) = out.glob("*/cells.parquet")
    return path.read_bytes()


@pytest.fixture(scope="module")
def one(slide, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "out"
    run(slide, out)
    return out


def box(path, *bounds, **properties):
    x0, y0, x1, y1 = bounds
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


def boxes(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [box(path, *b, **p) for b, p in features]}))
    return path


def test_every_nucleus_is_there_once_whatever_borders_it_lies_on(one):
    cells = read_cells(one / "grid" / "cells.parquet")
    expected = {(x, y) for y in range(28, HEIGHT, PITCH) for x in range(28, WIDTH, PITCH)}
    found = [*map(tuple, np.rint(cells[["x_px", "y_px"]].to_numpy()).astype(int).tolist())]
    whole = {(x, y) for x, y in expected if x < WIDTH - 10 and y < HEIGHT - 10}
    assert len(found) == len(set(found))
    assert whole <= set(found) <= expected


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 2, "scheduler": "local"}])
def test_workers_change_no_byte(slide, one, tmp_path, options):
    if "scheduler" in options:
        pytest.importorskip("distributed")
    run(slide, tmp_path / "out", **options)
    assert bytes_of(tmp_path / "out") == bytes_of(one)
    assert not (tmp_path / "out" / "grid" / ".parts").exists()


def test_a_region_alone_has_the_cells_of_the_slide(slide, one, tmp_path):
    bounds = (1000, 900, 3000, 2500)
    regions = boxes(tmp_path / "r.geojson", (bounds, {"name": "box"}))
    run(slide, tmp_path / "out", ASSAY.replace(only_regions=True), regions)
    alone = read_cells(tmp_path / "out" / "grid" / "cells.parquet").drop(columns="Region")
    whole = read_cells(one / "grid" / "cells.parquet").drop(columns="Region")
    inside = whole.x_px.between(bounds[0], bounds[2]) & whole.y_px.between(bounds[1], bounds[3])
    assert alone.equals(whole[inside].reset_index(drop=True))
    summary = read_summary(tmp_path / "out" / "grid" / "summary.json")
    assert summary["grid"]["measured"] == 4 < summary["grid"]["blocks"] == 12


def command(slide, out, *options):
    return [
        *(sys.executable, "-m", "ihcscore.cli.app", "score", str(slide), "-o", str(out)),
        *("--segmenter", "watershed", "--no-geojson", *options),
    ]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(slide, one, tmp_path, workers):
    out = tmp_path / "out"
    process = subprocess.Popen(command(slide, out, "--workers", workers), stderr=subprocess.DEVNULL)
    parts = out / "grid" / ".parts"
    while len([*parts.glob("*.arrow")]) < 3 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    there = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.arrow")}
    assert len(there) >= 3
    (refused,) = run(slide, out, ASSAY.replace(expansion_um=3.0)).failed
    assert "an interrupted run with other parameters is there" in refused
    seen = []
    run(slide, out, progress=lambda what, done: seen.append(done))
    assert seen[1] >= 0.9 * len(there) / 12  # it did not begin anew
    assert bytes_of(out) == bytes_of(one)


def test_regions_are_scored_each_and_by_class_without_pixels(slide, one, tmp_path):
    features = (
        ((0, 0, 1000, 1000), {"name": "a", "classification": {"name": "Tumor"}}),
        ((500, 500, 2000, 2000), {"name": "b", "classification": {"name": "Tumor"}}),
        ((600, 600, 900, 900), {"name": "n", "classification": {"name": "Necrosis"}}),
    )
    regions = boxes(tmp_path / "r.geojson", *features)
    rescored = rescore_folder(one, tmp_path / "re", regions=regions, exclude=("necro*",))
    run(slide, tmp_path / "out", ASSAY.replace(exclude=("necro*",)), regions)
    with (tmp_path / "out" / "scores.csv").open(encoding="utf-8-sig") as file:
        rows = {row["region"]: row for row in csv.DictReader(file)}
    assert [*rows] == ["image", "a", "b", "all Tumor"]
    assert [row.to_dict() for row in rescored.rows] == [
        row.to_dict() for row in run(slide, tmp_path / "out", ASSAY.replace(exclude=("necro*",)), regions).rows
    ]

    def number(x0, y0, x1, y1):
        places = [(x, y) for y in range(28, 4200, PITCH) for x in range(28, 6200, PITCH)]
        return {(x, y) for x, y in places if x0 <= x <= x1 and y0 <= y <= y1}

    a, b, n = number(0, 0, 1000, 1000), number(500, 500, 2000, 2000), number(600, 600, 900, 900)
    assert int(rows["a"]["cells"]) == len(a - n)
    assert int(rows["all Tumor"]["cells"]) == len((a | b) - n)
    assert int(rows["a"]["excluded"]) == len(n)
    assert float(rows["all Tumor"]["area_mm2"]) == pytest.approx((1000**2 + 1500**2 - 500**2) * 0.25e-6)
    again = read_cells(tmp_path / "re" / "grid" / "cells.parquet")
    assert set(again["Region"].unique()) == {"", "a", "b", "a | b", "a | b | n"}


def test_a_slide_replays(one, slide):
    result = replay(one / "grid" / "summary.json", slide)
    assert result.same, result.differences


def write_image(path, rgb):
    tifffile.imwrite(path, rgb, photometric="rgb", resolution=(2e4, 2e4), resolutionunit="CENTIMETER", metadata=None)
    return path


def test_the_cells_are_the_same_through_every_reader(tmp_path):
    rgb = np.tile(render(load_parameters("membranous"), 5).rgb, (2, 2, 1))
    writers = {
        "svs": lambda path: write_svs(path / "a.svs", rgb, 0.5),
        "ome": lambda path: write_ome_tiff(path / "a.ome.tif", rgb, 0.5),
        "plain": lambda path: write_plain_pyramid(path / "a.tif", rgb, 0.5),
        "flat": lambda path: write_plain_pyramid(path / "a.tif", rgb, 0.5, downsamples=(1,)),
        "coarse": lambda path: write_plain_pyramid(path / "a.tif", rgb, 0.5, downsamples=(1, 3, 8)),
        "dicom": lambda path: write_dicom(path / "a", rgb, 0.5),
        "image": lambda path: write_image(path / "a.tif", rgb),
    }
    found, contexts = {}, {}
    for name, write in writers.items():
        (tmp_path / name).mkdir()
        run(write(tmp_path / name), tmp_path / name / "out")
        found[name] = bytes_of(tmp_path / name / "out")
        (path,) = (tmp_path / name / "out").glob("*/summary.json")
        contexts[name] = json.loads(path.read_text())["context"]
    assert len(set(found.values())) == 1
    assert contexts["svs"]["plane"] is not None
    assert all(context == contexts["svs"] for context in contexts.values())


def test_a_batch_goes_on_past_what_fails(slide, tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    rgb = np.ascontiguousarray(np.full((600, 700, 3), 240, np.uint8))
    write_svs(folder / "blank.svs", rgb, 0.5)
    broken = write_svs(folder / "broken.svs", np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8), 0.5)
    broken.write_bytes(broken.read_bytes()[:400_000])
    write_svs(folder / "coarse.svs", rgb, 4.0)
    (folder / "good.svs").symlink_to(slide)
    report = run(folder, tmp_path / "out")
    status = {row.image: row.status for row in report.rows}
    assert status == {"blank": "unscorable", "broken": "failed", "coarse": "failed", "good": "ok"}
    assert len(report.failed) == 2
    assert all("\n" not in line for line in report.failed)
    summary = (tmp_path / "out" / "good" / "summary.json").read_text()
    assert not any(word in summary for word in ("Doe", "Roe", str(tmp_path)))


def test_manifests_name_assays_and_regions(slide, tmp_path):
    boxes(tmp_path / "r.geojson", ((0, 0, 500, 500), {"name": "corner"}))
    (tmp_path / "m.csv").write_text(f"path,assay,regions\n{slide},generic-nuclear,r.geojson\n")
    report = score_files(
        expand_inputs([tmp_path / "m.csv"]),
        load_assay("generic-nuclear"),
        tmp_path / "out",
        changes={"segmenter": "watershed"},
    )
    assert [row.region for row in report.rows] == ["image", "corner"]
    assert read_summary(tmp_path / "out" / "grid" / "summary.json")["segmenter"]["name"] == "watershed"


def test_only_regions_needs_regions_and_regions_need_the_slide(slide, tmp_path):
    report = run(slide, tmp_path / "a", ASSAY.replace(only_regions=True))
    assert "give --regions" in report.failed[0]
    far = boxes(tmp_path / "far.geojson", ((90_000, 0, 91_000, 500), {"name": "far"}))
    assert "outside the slide" in run(slide, tmp_path / "b", regions=far).failed[0]


def test_a_full_disk_is_one_line_and_keeps_what_was_done(slide, tmp_path, monkeypatch):

    written = []
    replace = os.replace

    def full(source, target):
        if str(target).endswith(".arrow"):
            if len(written) == 2:
                raise OSError(28, "No space left on device")
            written.append(target)
        replace(source, target)

    monkeypatch.setattr("ihcscore.io.atomic.os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        run(slide, tmp_path / "out")
    monkeypatch.undo()
    assert len([*(tmp_path / "out" / "grid" / ".parts").glob(f"*{store.ENDING}")]) == 2


class Dying:
    """A job whose worker dies at its first block, once."""

    def __init__(self, job, mark):
        self.job, self.mark = job, mark

    @property
    def grid(self):
        if not self.mark.exists():
            self.mark.touch()
            os._exit(9)
        return self.job.grid

    def __getattr__(self, name):
        return getattr(self.job, name)


def dying_job(task):
    from ihcscore.tiles.measure_slide import open_job

    return Dying(open_job(task[0]), task[1])


def always_dying(task):
    os._exit(9)


@pytest.fixture(scope="module")
def plan(slide):
    from ihcscore.io.slides.opening import open_slide
    from ihcscore.tiles.executors import SlideTask
    from ihcscore.tiles.measure_slide import plan_measurement

    opened = open_slide(slide)
    ready = plan_measurement(opened, ASSAY)
    return ready, SlideTask(slide, opened.mpp, ASSAY, ready.job.context)


def test_a_worker_that_dies_is_replaced(plan, tmp_path):
    ready, task = plan
    with ProcessExecutor(2, dying_job) as runner:
        found = dict(runner.run(ready.job, (task, tmp_path / "mark"), ready.keys[:3]))
    assert sorted(found) == [*ready.keys[:3]]
    key = ready.keys[0]
    expected = measure_tile(ready.job, ready.job.grid.tile(*key)).rows
    assert all((found[key].rows[name] == expected[name]).all() for name in ("x_px", "nucleus_wkb"))


def test_workers_that_always_die_are_an_error(plan):
    ready, task = plan
    with ProcessExecutor(2, always_dying) as runner, pytest.raises(IhcscoreError, match="fewer --workers"):
        list(runner.run(ready.job, task, ready.keys[:2]))


def test_runners_by_options():
    assert isinstance(make_executor(1, None, always_dying), SerialExecutor)
    with pytest.raises(ValueError, match="at least 1"):
        make_executor(0, None, always_dying)


def test_a_scheduler_that_is_not_there_is_one_line():
    pytest.importorskip("distributed")
    with pytest.raises(IhcscoreError, match="no Dask scheduler at"):
        make_executor(1, "nonsense://127.0.0.1:1", always_dying)


@pytest.mark.parametrize("background", ["auto", (255.0, 255.0, 255.0)])
def test_odd_sizes_and_rounded_levels_change_no_cell(tmp_path, background):
    field = render(dataclasses.replace(load_parameters("membranous"), size_px=(1401, 1333), mpp=0.25), 8).rgb
    writers = {
        "svs": lambda path: write_svs(path / "a.svs", field, 0.25, downsamples=(1, 2)),
        "ome": lambda path: write_ome_tiff(path / "a.ome.tif", field, 0.25, downsamples=(1,)),
        "dicom": lambda path: write_dicom(path / "a", field, 0.25, downsamples=(1, 2)),
        "image": lambda path: write_plain_pyramid(path / "a.tif", field, 0.25, downsamples=(1, 4)),
    }
    found = {}
    for name, write in writers.items():
        (tmp_path / name).mkdir()
        run(write(tmp_path / name), tmp_path / name / "out", ASSAY.replace(background=background))
        found[name] = bytes_of(tmp_path / name / "out")
    assert len(set(found.values())) == 1


def test_nuclei_of_a_tile_in_its_slide_are_the_same_for_any_workers(tmp_path):
    places = [(x, y) for y in range(30, 2400, 60) for x in range(30, 2400, 60)]
    rgb, _ = discs((2400, 2400), places, 8, dab=np.linspace(0, 0.9, len(places)))
    path = tmp_path / "s [x=600,y=400,w=2400,h=2400].png"
    Image.fromarray(rgb).save(path)
    corners = [[(x + dx + 600, y + dy + 400) for dx, dy in ((-8, -8), (8, -8), (8, 8), (-8, 8))] for x, y in places]
    shapes = [{"type": "Polygon", "coordinates": [[*c, c[0]]]} for c in corners]
    cells = [{"type": "Feature", "geometry": s, "properties": {"objectType": "detection"}} for s in shapes]
    (tmp_path / "n.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": cells}))
    inputs = expand_inputs([path], nuclei=tmp_path / "n.geojson")
    for workers in (1, 2):
        score_files(inputs, ASSAY.replace(mpp=0.5), tmp_path / str(workers), workers=workers)
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")
    (table,) = (read_cells(p) for p in (tmp_path / "2").glob("*/cells.parquet"))
    assert len(table) == len(places)


def test_one_run_at_a_time_writes_into_a_folder(slide, tmp_path):
    out = tmp_path / "out"
    with alone_in(out) as warnings, ThreadPoolExecutor(1) as others:
        assert not warnings
        with pytest.raises(OutputError, match="another run writes to"):
            others.submit(run, slide, out).result()
    assert run(slide, out).rows[0].status == "ok"
    with alone_in(tmp_path / "again"), ThreadPoolExecutor(1) as others:
        rescored = others.submit(rescore_folder, out, tmp_path / "again")
        with pytest.raises(OutputError, match="another run writes to"):
            rescored.result()
    with pytest.raises(ValueError, match="workers must be"):
        run(slide, tmp_path / "none", workers=0)
    assert not (tmp_path / "none").exists()


def test_a_disk_without_locks_is_warned_of(slide, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    report = run(slide, tmp_path / "out")
    assert any("knows no locks" in text for text in report.warnings)
    assert report.rows[0].status == "ok"


def test_parts_that_vanish_are_an_error_and_no_smaller_slide(slide, tmp_path, monkeypatch):
    def lose():
        next(iter(tmp_path.rglob("*.arrow"))).unlink()

    monkeypatch.setattr("ihcscore.workflows.score_one.give_back_memory", lose)
    report = run(slide, tmp_path / "out")
    assert "measured tiles are gone" in report.failed[0]
    assert not list(tmp_path.rglob("cells.parquet"))
    monkeypatch.undo()
    run(slide, tmp_path / "out")
    run(slide, tmp_path / "whole")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_a_series_named_by_two_files_is_refused(tmp_path):
    rgb = render(load_parameters("nuclear"), 3).rgb
    first, second = sorted(write_dicom(tmp_path / "series", rgb, 0.5).parent.iterdir())[:2]
    report = score_files(expand_inputs([first, second]), ASSAY, tmp_path / "out")
    assert any("same file as" in text for text in report.warnings)
    score_files(expand_inputs([first]), ASSAY, tmp_path / "again")
    report = score_files(expand_inputs([second]), ASSAY, tmp_path / "again")
    assert "is in the results as" in report.failed[0]


def test_parts_of_another_origin_are_not_put_together(slide, tmp_path, monkeypatch):
    nuclei = boxes(tmp_path / "n.geojson", *(((x, x, x + 16, x + 16), {}) for x in range(100, 4000, 50)))
    data = json.loads(nuclei.read_text())
    for each in data["features"]:
        each["properties"]["objectType"] = "detection"
    nuclei.write_text(json.dumps(data))
    inputs = expand_inputs([slide], nuclei=nuclei)

    def interrupt(_what, done):
        if done > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_files(inputs, ASSAY, tmp_path / "out", progress=interrupt)
    monkeypatch.setattr("ihcscore.io.slides.vendor.VendorSlide.bounds", (20, 20, 100, 100))
    report = score_files(inputs, ASSAY, tmp_path / "out", origin="bounds")
    assert "other origin" in report.failed[0]
