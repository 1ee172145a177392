"""Regions come in as they were drawn, from every tool, and what does not fit is refused or noted."""

import json
import zipfile

import numpy as np
import pytest
import roifile
import shapely
import tifffile
from conftest import discs
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ihcscore import load_assay
from ihcscore.errors import InputError
from ihcscore.io.manifests import expand_inputs
from ihcscore.io.regions import Region, read_regions, regions_for, tile_place, write_regions
from ihcscore.io.regions.base import named
from ihcscore.workflows.replay import replay
from ihcscore.workflows.rescore_folder import rescore_folder
from ihcscore.workflows.score_folder import score_files

SIZE = (1000, 800)
SQUARE = [[100, 100], [300, 100], [300, 300], [100, 300], [100, 100]]
HOLE = [[150, 150], [200, 150], [200, 200], [150, 200], [150, 150]]


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def read(path, size=SIZE, **options):
    return read_regions(str(path), size, 0.5, **options)


def write_json(path, data):
    path.write_text(json.dumps(data), "utf-8")
    return path


def areas(found):
    return {region.name: region.geometry.area for region in found.regions}


def test_qupath_annotations_with_names_classes_holes_and_parts(tmp_path):
    shifted = (np.array(SQUARE) + 400).tolist()
    features = [
        feature(polygon(SQUARE, HOLE), name="A, the first", classification={"name": "Tumor"}),
        feature(
            {"type": "MultiPolygon", "coordinates": [[SQUARE], [shifted]]}, classification={"names": ["Tumor", "x"]}
        ),
        feature(polygon(SQUARE), classification={"name": "Tumor: x"}),
        feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}),
        {"type": "Feature", "geometry": polygon(SQUARE), "properties": {"objectType": "cell"}},
        {"type": "Feature", "geometry": polygon(SQUARE), "properties": {}},
    ]
    found = read(write_json(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": features}))
    assert areas(found) == {"A, the first": 37500, "Tumor: x 1": 80000, "Tumor: x 2": 40000, "region 1": 40000}
    assert [region.classification for region in found.regions] == ["Tumor", "Tumor: x", "Tumor: x", ""]
    assert found.notes == ("a.geojson: 1 of kind line or point left out", "a.geojson: 1 of kind cell left out")


def test_lists_features_and_bare_geometries_are_read(tmp_path):
    for data in ([feature(polygon(SQUARE))], feature(polygon(SQUARE)), polygon(SQUARE)):
        assert areas(read(write_json(tmp_path / "a.json", data))) == {"region 1": 40000}


def test_names_are_made_different_and_cannot_be_taken_for_others(tmp_path):
    names = ["a", "a", "image", "all Tumor", "x | y", "two\nlines"]
    features = [feature(polygon(SQUARE), name=name) for name in names]
    found = read(write_json(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": features}))
    expected = ["a", "a (2)", "image (region)", "all Tumor (region)", "x / y", "two lines"]
    assert [region.name for region in found.regions] == expected


WORDS = st.lists(st.sampled_from(["all", "All", "image", "pooled", "|", "(region)", "(2)", "1", "x"]), max_size=4)


@given(st.lists(st.tuples(WORDS.map(" ".join), WORDS.map(" ".join)), max_size=6))
def test_names_stay_when_they_are_read_again(drawn):
    regions = named((name, kind, None) for name, kind in drawn)
    names = [region.name for region in regions]
    assert named((r.name, r.classification, None) for r in regions) == regions
    assert len(set(names)) == len(names)
    assert all("|" not in name.split() and name.lower() not in ("image", "pooled") for name in names)
    assert all("(region)" in name for name in names if name.lower().split()[0] == "all")


def test_a_result_with_names_of_other_rows_is_pooled_rescored_and_replayed(tmp_path):
    places = [(x, y) for y in range(30, 280, 40) for x in range(30, 280, 40)]
    rgb, _ = discs((300, 300), places, 8, dab=np.linspace(0, 0.9, len(places)))
    Image.fromarray(rgb).save(tmp_path / "t.tif", resolution=50_800)
    features = [
        feature(polygon(SQUARE), name="All tissue", classification={"name": "Tumor"}),
        feature(polygon(HOLE), classification={"name": "all x"}),
        feature(polygon(HOLE), name="image", classification={"name": "Tumor"}),
    ]
    regions = write_json(tmp_path / "t.geojson", {"type": "FeatureCollection", "features": features})
    assay = load_assay("generic-nuclear").replace(segmenter="watershed", mpp=0.5)
    inputs = expand_inputs([tmp_path / "t.tif"], "(.*)", None, regions)
    scored = score_files(inputs, assay, tmp_path / "a").rows
    cells = {(row.region, row.region_class): row.cells for row in scored}
    assert cells["pooled", "all x"] == cells["all x 1 (region)", "all x"] > 0
    assert cells["pooled", "Tumor"] == cells["All tissue (region)", "Tumor"] > cells["pooled", "all x"]
    assert rescore_folder(tmp_path / "a", tmp_path / "b").rows == scored
    for folder, source in (("a", tmp_path / "t.tif"), ("b", tmp_path / "a")):
        assert replay(tmp_path / folder / "t" / "summary.json", source).same


def aperio(*layers):
    return "<Annotations>" + "".join(layers) + "</Annotations>"


def aperio_region(points, **attributes):
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    text = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<Region {text}><Vertices>{vertices}</Vertices></Region>"


def test_imagescope_polygons_rectangles_ellipses_and_negative_regions(tmp_path):
    corners = [(100, 100), (300, 300)]
    layer = '<Annotation Name="Tumor"><Regions>{}</Regions></Annotation>'
    text = aperio(
        layer.format(
            aperio_region(SQUARE[:-1], Type=0, Text="one")
            + aperio_region([(500, 100), (700, 300)], Type=1)
            + aperio_region(HOLE[:-1], Type=0, NegativeROA=1)
            + aperio_region(corners, Type=3)
        ),
        layer.format(aperio_region(corners, Type=2)).replace("Tumor", ""),
    )
    (tmp_path / "a.xml").write_text(text)
    found = read(tmp_path / "a.xml")
    sizes = areas(found)
    assert sizes["one"] == 37500
    assert sizes["Tumor 1"] == 40000
    assert sizes["region 1"] == pytest.approx(np.pi * 100**2, rel=1e-3)
    assert [region.classification for region in found.regions] == ["Tumor", "Tumor", ""]


def test_asap_coordinates_go_by_their_order(tmp_path):
    points = [(0, SQUARE[0]), (2, SQUARE[2]), (1, SQUARE[1]), (3, SQUARE[3])]
    coordinates = "".join(f'<Coordinate Order="{k}" X="{x}" Y="{y}"/>' for k, (x, y) in points)
    (tmp_path / "a.xml").write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="n" Type="Polygon" PartOfGroup="Tumor">'
        f"<Coordinates>{coordinates}</Coordinates></Annotation>"
        '<Annotation Name="d" Type="Dot" PartOfGroup="None"/></Annotations></ASAP_Annotations>'
    )
    found = read(tmp_path / "a.xml")
    assert areas(found) == {"n": 40000}
    assert found.regions[0].classification == "Tumor"


def test_imagej_selections_alone_and_in_a_zip(tmp_path):
    square = roifile.ImagejRoi.frompoints(np.array(SQUARE[:-1]), name="square")
    square.tofile(tmp_path / "one.roi")
    assert areas(read(tmp_path / "one.roi")) == {"square": 40000}
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.roi", square.tobytes())
    assert [*areas(read(tmp_path / "set.zip"))] == ["square", "square (2)", "square (3)"]


@pytest.mark.parametrize("factor", [1, 4, 2.5])
def test_masks_follow_the_edges_of_their_pixels(tmp_path, factor):
    labels = np.zeros((int(SIZE[1] / factor), int(SIZE[0] / factor)), np.uint16)
    labels[20:60, 30:90] = 7
    labels[30:40, 40:50] = 0
    labels[100:110, 100:101] = 300
    Image.fromarray(labels).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.int32))
    for name in ("a.png", "a.tif"):
        found = areas(read(tmp_path / name))
        assert found["label 7"] == pytest.approx((40 * 60 - 100) * factor**2)
        assert found["label 300"] == pytest.approx(10 * factor**2)


@given(st.lists(st.lists(st.integers(0, 3), min_size=7, max_size=7), min_size=5, max_size=5))
def test_mask_outlines_hold_the_pixels_of_their_label_and_no_others(tmp_path_factory, rows):
    labels = np.array(rows, np.uint8)
    path = tmp_path_factory.mktemp("m") / "m.tif"
    tifffile.imwrite(path, labels)
    if not labels.any():
        with pytest.raises(InputError, match="no regions"):
            read(path, (7, 5))
        return
    for region in read(path, (7, 5)).regions:
        value = int(region.name.split()[1])
        y, x = np.mgrid[:5, :7] + 0.5
        assert (shapely.contains_xy(region.geometry, x, y) == (labels == value)).all()
        assert region.geometry.area == (labels == value).sum()


def test_what_crosses_itself_is_repaired_and_what_reaches_out_is_clipped(tmp_path):
    bow = [[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]
    out = [[900, 700], [1100, 700], [1100, 900], [900, 900], [900, 700]]
    features = [feature(polygon(bow), name="bow"), feature(polygon(out), name="out")]
    found = read(write_json(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": features}))
    assert areas(found) == {"bow": 5000, "out": 10000}
    assert "repaired" in found.notes[0]
    assert "clipped" in found.notes[1]


def test_a_region_of_another_slide_is_refused_by_name(tmp_path):
    far = (np.array(SQUARE) + 5000).tolist()
    with pytest.raises(InputError, match=r"far: outside the slide of 1000 x 800"):
        read(write_json(tmp_path / "a.geojson", feature(polygon(far), name="far")))


def test_an_origin_is_moved(tmp_path):
    path = write_json(tmp_path / "a.geojson", feature(polygon(SQUARE)))
    found = read(path, move=lambda xy: np.add(xy, (50, 60)))
    assert found.regions[0].geometry.bounds == (150, 160, 350, 360)


BOMB = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><Annotations>&z;</Annotations>'


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"hello", "is no QuPath"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "not GeoJSON"),
        (b"[1, 2]", "something else than features"),
        (b'{"type":"FeatureCollection","features":[]}', "holds no regions"),
        (json.dumps(feature(polygon(SQUARE), objectType="cell")).encode(), "--nuclei"),
        (json.dumps(feature({"type": "Polygon", "coordinates": [[[0, 0], [1, "a"], [1, 1]]]})).encode(), "not numbers"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[1,NaN],[1,1],[0,0]]]}', "finite"),
        (b'{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}', "three corners"),
        (b'{"type":"Polygon","coordinates":{"a":1}}', "no regions"),
        (b"<html></html>", "another kind"),
        (b"<Annotations>", "not XML"),
        (BOMB.encode(), "not XML that is read"),
        (b"<Annotations></Annotations>", "holds no regions"),
        (aperio("<Annotation>" + aperio_region([("a", 1)]) + "</Annotation>").encode(), "no number"),
        (b"Iout", "cannot be read"),
        (b"PK\x03\x04broken", "neither"),
        (b"\x89PNG\r\n\x1a\nbroken", "mask"),
        (b"II*\0broken", "mask"),
    ],
)
def test_what_holds_no_regions_is_one_line(tmp_path, content, match):
    path = tmp_path / "a.geojson"
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        read(path)
    assert str(caught.value).startswith("a.geojson: ")
    assert len(str(caught.value).splitlines()) == 1


def test_masks_of_another_shape_or_in_colors_are_refused(tmp_path):
    Image.fromarray(np.ones((100, 100), np.uint8)).save(tmp_path / "shape.png")
    Image.fromarray(np.ones((80, 100, 3), np.uint8)).save(tmp_path / "color.png")
    for name, match in (("shape.png", "another shape"), ("color.png", "colors")):
        with pytest.raises(InputError, match=match):
            read(tmp_path / name)


def test_many_regions_are_read_in_seconds(tmp_path):
    features = [
        feature(polygon(np.add([[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]], (k % 990, k // 990)).tolist()))
        for k in range(20_000)
    ]
    found = read(write_json(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": features}))
    assert len({region.name for region in found.regions}) == 20_000


def test_what_is_written_is_read_again(tmp_path):
    shapes = [Region('a "b", c', "Tumor", shapely.box(1, 2, 30, 40)), Region("d", "", shapely.Point(99, 99).buffer(9))]
    write_regions(tmp_path / "a.geojson", shapes)
    again = read(tmp_path / "a.geojson").regions
    assert [(r.name, r.classification) for r in again] == [(r.name, r.classification) for r in shapes]
    assert all(a.geometry.equals_exact(b.geometry, 1e-9) for a, b in zip(again, shapes, strict=True))


def test_the_file_of_an_image(tmp_path):
    image = tmp_path / "slides" / "case 1.svs"
    folder = tmp_path / "regions"
    folder.mkdir()
    with pytest.raises(InputError, match=r"no file of regions for it: expected one such as case 1.geojson"):
        regions_for(image, folder)
    (folder / "case 1.geojson").write_text("{}")
    assert regions_for(image, folder).name == "case 1.geojson"
    (folder / "case 1.svs.xml").write_text("<a/>")
    with pytest.raises(InputError, match="several"):
        regions_for(image, folder)
    (folder / "case 2_mask.png").write_bytes(b"")
    assert regions_for(tmp_path / "case 2.ome.tif", folder).name == "case 2_mask.png"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s [x=10,y=20,w=30,h=40].png", (10, 20, 30, 40, 1)),
        ("s.svs [d=4,x=10,y=20,w=30,h=40].ome.tif", (10, 20, 30, 40, 4)),
        ("s [x=10,y=20,w=0,h=40].png", None),
        ("s [x=a,y=20,w=1,h=40].png", None),
        ("s [x=-1,y=20,w=1,h=40].png", None),
        ("s [d=0,x=1,y=20,w=1,h=40].png", None),
        ("s.png", None),
        ("[].png", None),
    ],
)
def test_places_of_tiles(name, expected):
    found = tile_place(name)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.x, found.y, found.width, found.height, found.downsample) == expected


def test_repair_joins_what_overlaps_and_cuts_holes_only_inside(tmp_path):
    moved = [[x + 100, y] for x, y in SQUARE]
    outside = [[x + 500, y] for x, y in HOLE]
    features = [
        feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [moved]]}, name="two"),
        feature(polygon(SQUARE, outside), name="apart"),
        feature({"type": "GeometryCollection", "geometries": [polygon(SQUARE), polygon(moved)]}, name="many"),
    ]
    found = read(write_json(tmp_path / "r.geojson", {"type": "FeatureCollection", "features": features}))
    assert areas(found) == {"two": 200 * 300, "apart": 200 * 200, "many": 200 * 300}
    assert found.notes == ("r.geojson: 2 outlines that cross themselves were repaired: two, apart",)


def test_repairs_of_every_format_are_noted(tmp_path):
    bow = [[100, 100], [300, 300], [300, 100], [100, 300]]
    roifile.ImagejRoi.frompoints(np.array(bow, float)).tofile(tmp_path / "b.roi")
    corners = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in bow)
    hole = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in HOLE)
    (tmp_path / "b.xml").write_text(
        f'<Annotations><Annotation Name="T"><Regions><Region Type="0"><Vertices>{corners}</Vertices></Region>'
        f'<Region Type="0" NegativeROA="1"><Vertices>{hole}</Vertices></Region></Regions></Annotation></Annotations>'
    )
    for name in ("b.roi", "b.xml"):
        assert "1 outlines that cross themselves were repaired" in read(tmp_path / name).notes[0]


def test_negative_labels_are_no_mask(tmp_path):
    labels = np.zeros((80, 100), np.int16)
    labels[10:20, 10:20], labels[40:50, 40:50] = 1, -1
    tifffile.imwrite(tmp_path / "m.tif", labels)
    with pytest.raises(InputError, match="negative numbers"):
        read(tmp_path / "m.tif")


def test_half_a_letter_in_a_name_is_replaced(tmp_path):
    (tmp_path / "r.geojson").write_text(json.dumps(feature(polygon(SQUARE), name="a\ud800")))
    assert [region.name for region in read(tmp_path / "r.geojson").regions] == ["a?"]
