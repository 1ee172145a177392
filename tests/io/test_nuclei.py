"""Nuclei found elsewhere, as users have them."""

import json

import cv2
import numpy as np
import pytest
import tifffile
from conftest import discs

from ihcscore import score_image
from ihcscore.errors import IhcscoreError, InputError
from ihcscore.io.manifests import expand_inputs
from ihcscore.io.nuclei import nuclei_for, read_nuclei
from ihcscore.results.writers.geojson import write_geojson

SHAPE = (60, 90)
LABELS = discs(SHAPE, [(20, 30), (60, 30)], 8)[1]


def polygon(*points):
    return {"type": "Polygon", "coordinates": [[list(p) for p in (*points, points[0])]]}


def square(x, y, side):
    return polygon((x, y), (x + side, y), (x + side, y + side), (x, y + side))


def feature(geometry, kind="detection", **more):
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": kind}, **more}


def write(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_label_images(tmp_path, dtype):
    names = ["labels.tif"] if dtype == np.int32 else ["labels.png", "labels.tif"]
    for name in names:
        path = tmp_path / name
        if name.endswith("png"):
            cv2.imwrite(str(path), LABELS.astype(dtype))
        else:
            tifffile.imwrite(path, LABELS.astype(dtype))
        found = read_nuclei(path, SHAPE, 0.5)
        np.testing.assert_array_equal(found.labels, LABELS)
        assert found.name == name
        assert len(found.sha256) == 64


def test_geojson_has_the_pixels_whose_centers_lie_inside(tmp_path):
    path = write(tmp_path / "n.geojson", feature(square(10, 20, 5)), feature(square(40.6, 20.4, 3)))
    labels = read_nuclei(path, SHAPE, 0.5).labels
    assert labels[20:25, 10:15].min() == labels[20:25, 10:15].max() == 1
    assert (labels == 1).sum() == 25
    assert np.argwhere(labels == 2).min(axis=0).tolist() == [20, 41]
    assert (labels == 2).sum() == 9


def test_of_a_cell_the_nucleus_is_taken_and_annotations_are_not_nuclei(tmp_path):
    cell = feature(square(5, 5, 30), "cell", nucleusGeometry=square(10, 10, 4))
    path = write(tmp_path / "n.geojson", feature(square(0, 0, 50), "annotation"), cell)
    assert (read_nuclei(path, SHAPE, 0.5).labels > 0).sum() == 16
    bare = {"type": "Feature", "geometry": square(10, 10, 4), "properties": None}
    assert (read_nuclei(write(path, bare), SHAPE, 0.5).labels > 0).sum() == 16


def test_holes_pieces_and_overlaps(tmp_path):
    holed = {
        "type": "Polygon",
        "coordinates": [square(10, 10, 9)["coordinates"][0], square(13, 13, 3)["coordinates"][0]],
    }
    pieces = {
        "type": "MultiPolygon",
        "coordinates": [square(40, 10, 3)["coordinates"], square(50, 10, 3)["coordinates"]],
    }
    path = write(tmp_path / "n.geojson", feature(holed), feature(pieces), feature(square(18, 10, 5)))
    found = read_nuclei(path, SHAPE, 0.5)
    assert (found.labels == 1).sum() == 81 - 9 - 5
    assert (found.labels == 2).sum() == 18
    assert found.notes == (
        "n.geojson: 1 of 3 nuclei overlap others; the later one has the shared pixels",
        "n.geojson: 1 of 3 nuclei are in several parts, and each is taken as one",
    )


def test_parts_of_a_nucleus_that_overlap_are_one(tmp_path):
    parts = {
        "type": "MultiPolygon",
        "coordinates": [square(10, 10, 6)["coordinates"], square(13, 13, 6)["coordinates"]],
    }
    found = read_nuclei(write(tmp_path / "n.geojson", feature(parts)), SHAPE, 0.5)
    assert (found.labels == 1).sum() == 36 + 36 - 9
    assert not found.notes


def test_labels_in_several_parts_are_counted(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:9, 5:9] = labels[5:9, 20:24] = 1  # apart
    labels[20:24, 5:9] = labels[24:28, 9:13] = 2  # joined at a corner
    labels[40:44, 5:9], labels[40:44, 9:13] = 3, 4
    cv2.imwrite(str(tmp_path / "n.png"), labels)
    found = read_nuclei(tmp_path / "n.png", SHAPE, 0.5)
    assert found.notes == ("n.png: 1 of 4 nuclei are in several parts, and each is taken as one",)
    np.testing.assert_array_equal(found.labels, labels)


def test_a_cell_without_a_nucleus_is_left_out_and_a_detection_is_its_own(tmp_path):
    whole = square(5, 5, 30)
    nothing = {"type": "Polygon", "coordinates": []}
    cells = [
        feature(whole, "cell", nucleusGeometry=square(10, 10, 4)),
        feature(whole, "cell", nucleusGeometry=None),
        feature(whole, "cell", nucleusGeometry=nothing),
        feature(whole, "cell"),
    ]
    path = tmp_path / "n.geojson"
    found = read_nuclei(write(path, *cells, feature(square(50, 10, 3), "detection")), SHAPE, 0.5)
    assert np.bincount(found.labels.ravel())[1:].tolist() == [16, 9]
    assert found.notes == ("n.geojson: 3 of 5 features are cells that have no nucleus, and left out",)
    with pytest.raises(InputError, match=r"holds no nuclei: 3 of 3 features are cells that have no nucleus"):
        read_nuclei(write(path, *cells[1:]), SHAPE, 0.5)


def test_features_that_hold_nothing_are_left_out_and_counted(tmp_path):
    nothing = [
        None,
        feature({"type": "GeometryCollection", "geometries": [square(30, 10, 4)]}),
        feature({"type": "Polygon", "coordinates": [[]]}),
        feature({"type": "Polygon", "coordinates": []}),
        feature({"type": "MultiPolygon", "coordinates": [[[]]]}),
    ]
    path = tmp_path / "n.geojson"
    found = read_nuclei(write(path, *nothing, feature(square(10, 10, 4))), SHAPE, 0.5)
    assert (found.labels > 0).sum() == 16
    text = "features are not cells or detections with an area, and left out"
    assert found.notes == (f"n.geojson: 5 of 6 {text}",)
    others = [feature(square(10, 10, 4), kind) for kind in ("annotation", "tile")]
    with pytest.raises(InputError, match=f"holds no nuclei: 2 of 2 {text}"):
        read_nuclei(write(path, *others), SHAPE, 0.5)


def test_labels_above_the_limit_are_refused_with_it(tmp_path):
    labels = LABELS.astype(np.uint32)
    labels[labels == 2] = 2**31 - 1
    tifffile.imwrite(tmp_path / "n.tif", labels)
    assert read_nuclei(tmp_path / "n.tif", SHAPE, 0.5).labels.max() == 2**31 - 1
    labels[labels > 1] = 2**31
    tifffile.imwrite(tmp_path / "n.tif", labels)
    with pytest.raises(InputError, match="expected labels from 0 to 2147483647, found 0 to 2147483648"):
        read_nuclei(tmp_path / "n.tif", SHAPE, 0.5)


def test_what_was_written_is_read_again(tmp_path, nuclear):
    cells = score_image(nuclear.rgb, mpp=0.5, nuclei=nuclear.nuclei).cells
    write_geojson(tmp_path / "cells.geojson", [cells])
    labels = read_nuclei(tmp_path / "cells.geojson", nuclear.nuclei.shape, 0.5).labels
    np.testing.assert_array_equal(labels > 0, nuclear.nuclei > 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("n.png", b"text", "expected labels, whole numbers in one channel, found nothing"),
        ("n.tif", b"II*\0text", "expected labels, whole numbers in one channel, found"),
        ("n.geojson", b"{", "is not GeoJSON"),
        ("n.geojson", b"[1]", "is not GeoJSON"),
        ("n.geojson", b'[{"geometry":{"type":"Polygon","coordinates":[[[1,2],[3,4]]]}}]', "is not GeoJSON"),
        ("n.geojson", b'[{"geometry":{"type":"Polygon","coordinates":[[1,2,3]]}}]', "is not GeoJSON"),
        ("n.geojson", b'[{"geometry":{"type":"Polygon","coordinates":[[[1,2],["a",4],[5,NaN]]]}}]', "is not GeoJSON"),
        ("n.geojson", b'[{"geometry":{"type":"Point","coordinates":[1,2]}}]', "holds no nuclei"),
        (
            "n.geojson",
            b'[{"geometry":{"type":"Polygon","coordinates":[[[1e9,0],[1e9,9],[2e9,9]]]}}]',
            "holds no nuclei",
        ),
        ("n.csv", b"a", "nuclei are read from .png"),
    ],
)
def test_what_is_no_nuclei_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_nuclei(tmp_path / name, SHAPE, 0.5)


def test_other_sizes_colors_and_empty_labels_are_said(tmp_path):
    path = tmp_path / "n.png"
    cv2.imwrite(str(path), np.ones((30, 20), np.uint8))
    with pytest.raises(InputError, match="has labels for 20 x 30 pixels, the image has 90 x 60"):
        read_nuclei(path, SHAPE, 0.5)
    cv2.imwrite(str(path), np.ones((*SHAPE, 3), np.uint8))
    with pytest.raises(InputError, match="in one channel, found uint8 of shape"):
        read_nuclei(path, SHAPE, 0.5)
    cv2.imwrite(str(path), (LABELS > 0).astype(np.uint8) * 255)
    with pytest.raises(InputError, match="is a mask with several pieces"):
        read_nuclei(path, SHAPE, 0.5)
    with pytest.raises(InputError, match="cannot be read"):
        read_nuclei(tmp_path / "none.png", SHAPE, 0.5)


def test_a_file_may_be_empty(tmp_path):
    cv2.imwrite(str(tmp_path / "n.png"), np.zeros(SHAPE, np.uint8))
    (tmp_path / "n.geojson").write_text('{"type":"FeatureCollection","features":[]}')
    for name in ("n.png", "n.geojson"):
        read = read_nuclei(tmp_path / name, SHAPE, 0.5)
        assert read.notes == (f"{name}: holds no nuclei, so the image has no cells",)
        assert not read.labels.any()


def test_one_nucleus_in_two_parts_is_no_mask_where_it_is_drawn(tmp_path):
    squares = [[[[x, 10], [x + 6, 10], [x + 6, 16], [x, 16], [x, 10]]] for x in (10, 30)]
    feature = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": squares}}
    (tmp_path / "n.geojson").write_text(json.dumps([feature]))
    read = read_nuclei(tmp_path / "n.geojson", SHAPE, 0.5)
    assert np.unique(read.labels).tolist() == [0, 1]
    assert "1 of 1 nuclei are in several parts" in read.notes[0]


def test_a_channel_of_its_own_is_no_other_shape(tmp_path):
    for shape in ((1, *SHAPE), (*SHAPE, 1)):
        tifffile.imwrite(tmp_path / "n.tif", LABELS.astype(np.uint16).reshape(shape), photometric="minisblack")
        np.testing.assert_array_equal(read_nuclei(tmp_path / "n.tif", SHAPE, 0.5).labels, LABELS)


def test_a_folder_is_searched_by_the_images_name(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    for name in ("a_nuclei.png", "b.geojson", "c.png", "c.geojson"):
        (folder / name).write_bytes(b"")
    assert nuclei_for(tmp_path / "a.tif", folder).name == "a_nuclei.png"
    assert nuclei_for(tmp_path / "b.tif", folder).name == "b.geojson"
    assert nuclei_for(folder / "c.png", folder).name == "c.geojson"  # not the image itself
    with pytest.raises(InputError, match="several files of nuclei"):
        nuclei_for(tmp_path / "c.tif", folder)


@pytest.mark.parametrize("name", ["s1.geojson", "s1_labels.tif", "s1.png", "s1.ome_nuclei.png", "s1.ome.tif.geojson"])
def test_nuclei_of_an_ome_tiff_may_be_called_by_any_of_its_names(tmp_path, name):
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / name).write_bytes(b"")
    (tmp_path / "n" / "s10.png").write_bytes(b"")
    assert nuclei_for(tmp_path / "s1.ome.tif", tmp_path / "n").name == name
    with pytest.raises(InputError, match=r"holds no file of nuclei for it: expected one such as s2\.png"):
        nuclei_for(tmp_path / "s2.ome.tif", tmp_path / "n")


@pytest.mark.parametrize("name", ["a_labels.PNG", "a.TIF", "a_Nuclei.GeoJSON"])
def test_endings_may_be_written_in_capitals(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert nuclei_for(tmp_path / "a.jpg", tmp_path).name == name


def test_one_file_for_many_images_is_refused(tmp_path):
    for name in ("a.png", "b.png", "n.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(IhcscoreError, match="cannot hold the nuclei of 2 images"):
        expand_inputs([tmp_path / "a.png", tmp_path / "b.png"], nuclei=tmp_path / "n.png")


def test_what_is_lost_or_left_out_is_counted(tmp_path):
    good, inside, tiny, outside = square(10, 10, 8), square(12, 12, 3), square(30.6, 30.6, 0.3), square(500, 500, 5)
    line = {"type": "LineString", "coordinates": [[1, 1], [5, 5]]}
    shapes = [inside, good, tiny, outside, line]
    path = write(tmp_path / "n.geojson", *map(feature, shapes), feature(None), feature(square(0, 0, 50), "annotation"))
    found = read_nuclei(path, SHAPE, 0.5)
    assert np.unique(found.labels).tolist() == [0, 2]
    assert [note.split(": ", 1)[1][:20] for note in found.notes] == [
        "3 of 7 features are ",
        "1 of 4 nuclei overla",
        "3 of 4 nuclei are lo",
    ]


def test_annotations_of_older_qupath_are_not_nuclei(tmp_path):
    def old(kind, geometry):
        return {"type": "Feature", "id": kind, "geometry": geometry, "properties": {}}

    features = [
        old("PathAnnotationObject", square(0, 0, 50)),
        old("TMACoreObject", square(0, 0, 50)),
        old("PathDetectionObject", square(10, 10, 4)),
        old("PathCellObject", square(28, 28, 9)) | {"nucleusGeometry": square(30, 30, 5)},
        old("PathCellObject", square(60, 30, 9)),
        old("7", square(50, 10, 6)),  # of another program
    ]
    labels = read_nuclei(write(tmp_path / "n.geojson", *features), SHAPE, 0.5).labels
    assert np.bincount(labels.ravel())[1:].tolist() == [16, 25, 36]
    half_old = [{**feature(square(0, 0, 50)), "properties": {"object_type": "annotation"}}, feature(square(10, 10, 4))]
    assert (read_nuclei(write(tmp_path / "n.geojson", *half_old), SHAPE, 0.5).labels > 0).sum() == 16


def test_one_bare_feature_and_a_list_are_read(tmp_path):
    path = tmp_path / "n.geojson"
    for parsed in (feature(square(10, 10, 4)), [feature(square(10, 10, 4))]):
        path.write_text(json.dumps(parsed))
        assert (read_nuclei(path, SHAPE, 0.5).labels > 0).sum() == 16


def test_what_is_longer_than_any_nucleus_is_refused(tmp_path):
    labels = np.zeros((300, 300), np.uint8)
    labels[:10, :10] = labels[-10:, -10:] = 255  # a mask's value, in two places
    labels[100:110, 100:110] = 128
    cv2.imwrite(str(tmp_path / "n.png"), labels)
    with pytest.raises(InputError, match=r"n\.png: holds a nucleus 212 um long: is it a mask"):
        read_nuclei(tmp_path / "n.png", (300, 300), 0.5)
    assert read_nuclei(tmp_path / "n.png", (300, 300), 0.1).labels.max() == 255  # at this pixel size, 42 um


def test_nuclei_that_share_a_border_through_pixels_share_none(tmp_path):
    """Corners that are cut go exactly through centers of pixels, at 0.25 um per pixel and finer."""
    left = polygon((10.5, 10), (20.5, 10), (25.5, 15), (25.5, 30), (10.5, 30))
    right = polygon((20.5, 10), (35.5, 10), (35.5, 30), (25.5, 30), (25.5, 15))
    found = read_nuclei(write(tmp_path / "n.geojson", feature(left), feature(right)), SHAPE, 0.5)
    assert found.notes == ()
    assert (found.labels > 0).sum() == 25 * 20
