import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ihcscore.errors import IhcscoreError, InputError
from ihcscore.io.manifests import expand_inputs, unread_pictures
from ihcscore.io.result_names import RESERVED, legal_name


@pytest.fixture
def tiles(tmp_path):
    for name in ("a/t1.png", "a/t2.png", "a/t10.png", "b/t1.png", "b/T2.tif", "b/notes.txt", "b/.hidden.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("") if path.suffix == ".txt" else Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    return tmp_path


def names(inputs):
    return [item.name for item in inputs]


def test_folders_files_and_globs(tiles):
    assert names(expand_inputs([tiles / "a"])) == ["t1", "t2", "t10"]
    assert names(expand_inputs([tiles / "a" / "t2.png", tiles / "a"])) == ["t2", "t1", "t10"]
    assert len(expand_inputs([f"{tiles}/**/*.*"])) == 5


def test_equal_stems_get_their_folder(tiles):
    assert names(expand_inputs([tiles / "a", tiles / "b"])) == ["t1__a", "t2__a", "t10", "t1__b", "T2__b"]


def test_pictures_of_results_are_no_input(tiles):
    image = (tiles / "a" / "t1.png").read_bytes()
    for name in ("b/res/overlay.png", "b/own/overlay.png", "b/lab.stains.png"):
        (tiles / name).parent.mkdir(exist_ok=True)
        (tiles / name).write_bytes(image)
    (tiles / "b" / "res" / "summary.json").write_text("{}")
    assert names(expand_inputs([f"{tiles}/b/**/*.*"])) == ["overlay", "t1", "T2"]


def test_a_missing_file_is_left_to_fail_alone(tiles):
    assert names(expand_inputs([tiles / "none.png", tiles / "a"])) == ["none", "t1", "t2", "t10"]


def test_a_glob_without_images_is_an_error(tiles, monkeypatch):
    monkeypatch.chdir(tiles)
    with pytest.raises(IhcscoreError, match="matches no images"):
        expand_inputs(["*.none"])


def test_one_file_by_two_ways_is_one_input(tiles):
    (tiles / "link.png").symlink_to(tiles / "a" / "t1.png")
    twice = [tiles / "a" / "t1.png", tiles / "b" / ".." / "a" / "t1.png", tiles / "link.png"]
    assert names(expand_inputs(twice)) == ["t1"]


def test_a_folder_without_images_hints_at_globs(tiles):
    with pytest.raises(IhcscoreError, match=r"\*\*/\*\.png"):
        expand_inputs([tiles])


def test_manifests_give_paths_pixel_sizes_and_groups(tiles):
    manifest = tiles / "list.csv"
    manifest.write_text("path, mpp,case\na/t1.png, 0.25,c1\n,,\nb/t1.png,,c2\n", encoding="utf-8-sig")
    inputs = expand_inputs([manifest], group="case")
    assert [(i.mpp, i.group) for i in inputs] == [(0.25, "c1"), (None, "c2")]
    with pytest.raises(IhcscoreError, match="no 'slide' to group by"):
        expand_inputs([manifest], group="slide")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,mpp\nx.png,1\n", "column 'path': it has file, mpp"),
        ("path;mpp\nx.png;0,5\n", "column 'path': separate its columns by commas, not by ';'"),
        ("path\tmpp\nx.png\t0.5\n", "column 'path': separate"),
        ("", "column 'path'"),
        ("path\n", "has no rows"),
        ("path,case,case\na/t1.png,b,c\n", "several columns named case"),
        ("path,mpp\na/t1.png,x\n", "number"),
        ("path,mpp\na/t1.png,0,5\n", "row 1 .* more fields"),
        ("path,mpp\na/t1.png,0.5\n,0.5\n", "row 2 .* no path"),
        ("path,mpp\na/t1.png,0.5\na/t1.png,0.25\n", "listed twice"),
    ],
)
def test_bad_manifests_say_what_is_wrong(tiles, text, message):
    manifest = tiles / "list.csv"
    manifest.write_text(text)
    with pytest.raises(IhcscoreError, match=message):
        expand_inputs([manifest])


def test_a_manifest_of_another_encoding_or_a_spreadsheet_says_how_to_save_it(tiles):
    manifest = tiles / "list.csv"
    manifest.write_bytes("path,case\na/t1.png,Grün\n".encode("latin-1"))
    with pytest.raises(IhcscoreError, match="save it as 'CSV UTF-8'"):
        expand_inputs([manifest])
    (tiles / "list.xlsx").write_bytes(b"PK")
    with pytest.raises(IhcscoreError, match="is a spreadsheet: save it as 'CSV UTF-8'"):
        expand_inputs([tiles / "list.xlsx"], group="case")


def test_known_columns_of_a_manifest_may_be_capitalised(tiles):
    manifest = tiles / "list.csv"
    manifest.write_text("Path,MPP,Case\na/t1.png,0.25,c1\n")
    (found,) = expand_inputs([manifest], group="Case")
    assert (found.mpp, found.group) == (0.25, "c1")
    with pytest.raises(IhcscoreError, match="no 'case' to group by; its columns are path, mpp, Case"):
        expand_inputs([manifest], group="case")


def test_files_of_other_formats_are_named(tiles):
    folder = tiles / "a"
    (folder / "x.bmp").write_bytes(b"BM")
    (folder / "y.CZI").write_bytes(b"")
    assert [path.name for path in unread_pictures([folder, tiles / "list.csv"])] == ["x.bmp", "y.CZI"]


def save(path, color=True):
    Image.fromarray(np.zeros((4, 4, 3) if color else (4, 4), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("a.jpg", "a.png"),
        ("a.tif", "a.png"),
        ("a.png", "a.tif"),
        ("a.png", "a_labels.PNG"),
        ("a.ome.tif", "a.png"),
        ("a.ome.tif", "a_nuclei.tif"),
    ],
)
def test_labels_in_the_folder_of_the_images_are_not_images(tmp_path, image, labels):
    save(tmp_path / image)
    save(tmp_path / labels, color=False)
    save(tmp_path / "b.png")
    found = expand_inputs([tmp_path], nuclei=tmp_path)
    assert sorted(item.path.name for item in found) == sorted([image, "b.png"])
    assert len(expand_inputs([tmp_path])) == 3


def test_the_given_file_of_labels_is_not_an_image(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "a_nuclei.png", color=False)
    save(tmp_path / "a_mask.png", color=False)
    found = expand_inputs([tmp_path], nuclei=tmp_path / "a_nuclei.png", regions=tmp_path / "a_mask.png")
    assert names(found) == ["a"]
    assert names(expand_inputs([tmp_path / "a.png"], nuclei=tmp_path / "a.png")) == ["a"]  # it fails when it is scored
    with pytest.raises(IhcscoreError, match="cannot hold the nuclei of 2 images"):
        expand_inputs([tmp_path], nuclei=tmp_path / "a_nuclei.png")


def test_an_empty_field_of_nuclei_is_not_filled_by_the_network(tiles):
    manifest = tiles / "list.csv"
    manifest.write_text("path,Nuclei\na/t1.png,t1.geojson\na/t2.png,\na/t10.png\n")
    with pytest.raises(IhcscoreError, match=r"'nuclei' is empty for t2\.png, t10\.png: fill it in"):
        expand_inputs([manifest])
    found = expand_inputs([manifest], nuclei=tiles / "b")
    assert [item.nuclei for item in found] == [tiles / "t1.geojson", tiles / "b", tiles / "b"]


def test_patterns_group_by_name(tiles):
    assert [i.group for i in expand_inputs([tiles / "a"], group=r"(t)(\d)")] == ["t_1", "t_2", "t_1"]
    assert [i.group for i in expand_inputs([tiles / "a"], group="t")] == ["t"] * 3
    with pytest.raises(IhcscoreError, match="does not match"):
        expand_inputs([tiles / "a"], group="case")
    with pytest.raises(IhcscoreError, match="matches nothing"):
        expand_inputs([tiles / "a"], group="t(x)?")
    with pytest.raises(IhcscoreError, match="pattern"):
        expand_inputs([tiles / "a"], group="(")
    with pytest.raises(InputError, match="there is no such file"):
        expand_inputs([tiles / "list.csv"], group="case")


@given(st.text(max_size=200))
def test_names_are_legal_everywhere(stem):
    name = legal_name(stem)
    assert 0 < len(name.encode()) <= 101
    assert name not in ("run.json", "scores.csv")
    assert not set(name) & set('<>:"/\\|?*')
    assert name == name.rstrip(" .")
    assert name.split(".")[0].lower() not in RESERVED
