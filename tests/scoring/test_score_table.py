"""Rows of scores: regions, populations, hotspots, bands and what is left out, given at once or block by block."""

import numpy as np
import pandas as pd
import pytest
import shapely

from ihcscore import load_assay
from ihcscore.formulas.registry import SCORES
from ihcscore.formulas.tallies import TALLIES
from ihcscore.io.regions import Region
from ihcscore.scoring.classify import exclusion_reasons
from ihcscore.scoring.heterogeneity import between, heterogeneity, hotspots
from ihcscore.scoring.intervals import BlockTallies
from ihcscore.scoring.regions import NO_REGIONS, RegionSet, in_regions
from ihcscore.scoring.score_row import ScoreRow, flat, table_columns
from ihcscore.scoring.score_table import ScoreTable, pool, score_rows
from ihcscore.table.schema import CLASSES

ASSAY = load_assay("generic-nuclear")


def cells_of(n=3000, seed=0, **changes):
    chance = np.random.default_rng(seed)
    xy = chance.uniform(0, 2000, (n, 2))
    od = np.clip(0.2 + 0.3 * xy[:, 0] / 2000 + chance.normal(0, 0.15, n), 0, None)
    level = np.searchsorted(ASSAY.thresholds, od, side="right")
    return pd.DataFrame(
        {
            "x_um": xy[:, 0],
            "y_um": xy[:, 1],
            "cut_by_border": False,
            "in_artifact": False,
            "Off-color": False,
            "Left out": "",
            "Scored OD": od,
            "Classification": np.array(CLASSES, object)[level],
            "Region": "",
            "Cell type": "",
        }
        | changes
    )


def told(cells, assay=ASSAY, regions=NO_REGIONS):
    """Say which cells are left out, as scoring does."""
    excluded = in_regions(cells["Region"].to_numpy(object), regions.excluded(assay.exclude))
    return cells.assign(**{"Left out": exclusion_reasons(cells, assay, excluded)})


def test_blocks_of_a_table_score_as_the_whole():
    cells = cells_of()
    (whole,) = score_rows(cells, ASSAY)
    (parts,) = score_rows([cells[:1000], cells[1000:1001], cells[1001:]], ASSAY)
    assert whole.scores["h_score"] == parts.scores["h_score"]
    assert whole.band == parts.band
    assert whole.mean_dab_od == pytest.approx(parts.mean_dab_od, rel=1e-12)  # sums of floats, in another order


def test_a_table_without_names_of_regions_is_scored_as_one_outside_of_all():
    regions = RegionSet((Region("bad", "Ignore*", shapely.box(0, 0, 9, 9)),))
    cells = cells_of(30)
    (wanted,) = score_rows(cells, ASSAY, regions)
    for missing in (np.full(30, np.nan), [None] * 30):
        (row,) = score_rows(cells.assign(Region=pd.Series(missing, dtype=object)), ASSAY, regions)
        assert (row.cells, row.excluded) == (wanted.cells, 0)


def test_each_cell_left_out_is_counted_once():
    cells = cells_of(8)
    cells["Region"] = ["bad", "", "bad", "", "", "", "", ""]
    cells["in_artifact"] = [True, True, False, False, False, False, False, False]
    cells["cut_by_border"] = [True, True, True, True, False, False, False, False]
    cells["Classification"] = ["Unmeasurable"] * 5 + ["1+"] * 3
    regions = RegionSet((Region("bad", "Ignore*", shapely.box(0, 0, 9, 9)),))
    (row,) = score_rows(told(cells, ASSAY, regions), ASSAY, regions)
    assert (row.excluded, row.in_artifact, row.cut_by_border, row.unmeasurable, row.cells) == (2, 1, 1, 1, 3)
    whole = ASSAY.replace(include_cut=True)
    (row,) = score_rows(told(cells, whole, regions), whole, regions)
    assert (row.excluded, row.in_artifact, row.cut_by_border, row.unmeasurable, row.cells) == (2, 1, 0, 2, 3)


def test_a_cell_of_no_class_is_unmeasurable():
    cells = cells_of(8)
    cells.loc[:2, "Classification"] = ["Unmeasurable", "", "other"]
    (row,) = score_rows(cells, ASSAY)
    assert (row.unmeasurable, row.cells) == (3, 5)


def test_populations_have_rows_of_their_own():
    cells = cells_of(**{"Cell type": np.where(np.arange(3000) < 1000, "Tumor", "Stroma")})
    rows = score_rows(cells, ASSAY.replace(population="tumor"))
    assert [(row.population, row.cells) for row in rows] == [("tumor", 1000), ("stroma", 2000), ("all", 3000)]
    rows = score_rows(cells, ASSAY)
    assert [row.population for row in rows] == ["all", "tumor", "stroma"]


def test_which_rows_there_are_does_not_depend_on_blocks():
    cells = cells_of(400)
    cells["Region"] = np.where(cells["x_um"] < 1000, "a", "b")
    cells["Cell type"] = np.where(cells["x_um"] < 1000, "Stroma", "Tumor")
    regions = RegionSet(tuple(Region(name, "", shapely.box(0, 0, 9, 9)) for name in "ab"))
    whole = [(row.region, row.population) for row in score_rows(cells, ASSAY, regions)]
    halves = [cells[cells["Region"] == name] for name in "ab"]
    assert [(row.region, row.population) for row in score_rows(halves, ASSAY, regions)] == whole
    assert ("a", "tumor") not in whole


def test_a_population_nobody_knows_is_not_scored():
    rows = score_rows(cells_of(), ASSAY.replace(population="tumor"))
    assert [(row.population, row.status) for row in rows] == [("tumor", "unscorable"), ("all", "ok")]
    assert "no cell is known to be tumor" in rows[0].reason


def test_a_region_of_other_cells_is_not_called_empty():
    cells = cells_of(8)
    cells["Region"] = ["a"] * 3 + ["b"] * 5
    cells["Cell type"] = ["Stroma"] * 3 + ["Tumor"] * 5
    regions = RegionSet(tuple(Region(name, "", shapely.box(0, 0, 9, 9)) for name in "abc"))
    rows = {(row.region, row.population): row for row in score_rows(cells, ASSAY.replace(population="tumor"), regions)}
    assert rows["a", "tumor"].reason == "no scored cells (none of 3 is tumor)"
    assert rows["a", "stroma"].cells == 3
    assert rows["b", "tumor"].status == "ok"
    assert rows["c", "tumor"].reason == "no scored cells (no nuclei found)"


def test_a_minimum_holds_for_its_score_only():
    assay = ASSAY.replace(scores=("h_score", "ki67"))
    (row,) = score_rows(cells_of(300), assay)
    assert row.status == "ok"
    assert row.scores["h_score"].status == "ok"
    assert row.scores["ki67"].reason == "300 cells, at least 500 are needed"
    assert row.scores["ki67"].value is None
    (row,) = score_rows(cells_of(300), assay.replace(minimum_cells={"ki67": 300}))
    assert row.scores["ki67"].value is not None


def test_rows_survive_json_and_tables():
    rows = score_rows(cells_of(), ASSAY.replace(scores=("allred", "h_score"), hotspot_mm2=0.2))
    for row in rows:
        assert ScoreRow.from_dict(row.to_dict()) == row
    columns = table_columns(rows)
    assert {"allred", "allred_low", "allred_high", "allred_category", "allred_status"} <= set(columns)
    assert "h_score_category" not in columns
    assert set(flat(rows[0])) - {f"{name}_category" for name in ("h_score",)} <= set(columns)


def test_the_band_moves_thresholds_and_says_what_dominates():
    (row,) = score_rows(cells_of(), ASSAY)
    assert row.band.score == "h_score"
    assert row.band.dominant == "thresholds"
    assert row.band.low < row.h_score < row.band.high
    od = cells_of()["Scored OD"].to_numpy()
    for end, shift in ((row.band.high, -0.02), (row.band.low, 0.02)):
        assert end == pytest.approx(100 * sum((od >= t + shift).mean() for t in ASSAY.thresholds))
    (still,) = score_rows(cells_of(), ASSAY.replace(band_od=0.0))
    assert still.band.low == still.band.high == still.h_score


def test_the_band_of_a_membrane_that_was_found_moves_its_density():
    membranous = ASSAY.replace(compartment=("membrane",))
    (row,) = score_rows(cells_of(), membranous)
    assert row.band.dominant == "membrane"
    od = cells_of()["Scored OD"].to_numpy()
    for end, share in ((row.band.high, 1.18), (row.band.low, 0.82)):
        assert end == pytest.approx(100 * sum((share * od >= t).mean() for t in ASSAY.thresholds))
    (still,) = score_rows(cells_of(), membranous.replace(band_membrane=0.0))
    assert still.band.dominant == "thresholds"
    (by_width,) = score_rows(cells_of(), membranous.replace(membrane_from="band"))
    assert "membrane" not in by_width.band.ranges


def of_class(name, n, **changes):
    return cells_of(n, Classification=np.full(n, name, object), **changes)


def test_regions_of_a_class_and_pooled_images_say_how_they_differ():
    regions = RegionSet(tuple(Region(name, "Tumor", shapely.box(0, 0, 9, 9)) for name in ("a", "b", "few")))
    cells = pd.concat(
        [of_class("1+", 100, Region="a"), of_class("3+", 50, Region="b"), of_class("Negative", 19, Region="few")]
    )
    rows = {row.region: row for row in score_rows(cells, ASSAY, regions)}
    assert rows["all Tumor"].heterogeneity["h_region_sd"] == pytest.approx(np.std([100, 300], ddof=1))
    assert all("h_region_sd" not in rows[name].heterogeneity for name in ("image", "a", "b", "few"))
    (pooled,) = pool([of_class("1+", 30), of_class("2+", 90)], ASSAY, None, group="g", region="pooled")
    assert pooled.heterogeneity["h_region_sd"] == pytest.approx(np.std([100, 200], ddof=1))
    assert "h_region_sd" in table_columns([pooled])
    assert between(np.zeros((0, len(TALLIES)))) == {}


def test_pooled_images_do_not_touch():
    cells = cells_of()
    (one,) = pool([cells], ASSAY, None, group="g", region="pooled")
    (two,) = pool([cells, cells], ASSAY, None, group="g", region="pooled")
    assert two.cells == 2 * one.cells
    assert two.h_score == pytest.approx(one.h_score)
    assert two.blocks == 2 * one.blocks


def test_hotspots_are_the_highest_squares_and_do_not_overlap():
    cells = cells_of(20_000)
    hot = cells["x_um"].between(1000, 1400) & cells["y_um"].between(500, 900)
    cells.loc[hot, "Classification"] = "3+"
    cells.loc[~hot, "Classification"] = "Negative"
    rows = score_rows(cells, ASSAY.replace(hotspot_mm2=0.0625, minimum_cells={"h_score": 100}))
    spots = [row for row in rows if row.region.startswith("hotspot")]
    assert len(spots) == 3
    assert spots[0].h_score == 300
    assert spots[0].h_score >= spots[1].h_score >= spots[2].h_score
    assert spots[0].area_mm2 == pytest.approx(0.0625)
    table = ScoreTable(ASSAY)
    table.add(cells)
    fine = table._scope(0, "all").blocks(62.5)
    found = hotspots(fine, SCORES["h_score"], 0.0625, 100, 5)
    corners = np.array([(spot.x_um, spot.y_um) for spot in found])
    apart = np.abs(corners[:, None] - corners[None]).max(axis=2) + 1e9 * np.eye(len(found))
    assert apart.min() >= 250
    assert hotspots(fine, SCORES["h_score"], 0.0625, 10**6, 3) == []
    assert {spot.cells for spot in spots} != {None}
    assert {getattr(spot, name) for spot in spots for name in ("excluded", "cut_by_border", "saturated_share")} == {
        None
    }


def test_hotspots_lie_where_cells_are():
    cells = cells_of(4000)
    cells["x_um"] /= 10  # a strip of 200 by 2000 um, hottest along its end
    cells["Classification"] = np.where(cells["y_um"] > 1900, "3+", "Negative").astype(object)
    table = ScoreTable(ASSAY)
    table.add(cells)
    first, *others = hotspots(table._scope(0, "all").blocks(62.5), SCORES["h_score"], 0.25, 100, 3)
    assert (first.x_um, first.y_um) == (0, 1500)
    assert first.area_mm2 == pytest.approx(0.25 * 0.5)
    assert [spot.y_um for spot in others] == [0, 500]


def test_pooled_images_leave_out_what_is_excluded_and_have_no_hotspots():
    cells = cells_of().assign(**{"Left out": ["excluded"] * 1000 + [""] * 2000})
    rows = pool([cells, cells], ASSAY.replace(hotspot_mm2=0.0625), None, group="g", region="pooled")
    assert [(row.cells, row.excluded) for row in rows] == [(4000, 2000)]


def test_a_population_that_nobody_belongs_to_says_of_how_many_cells():
    cells = cells_of(300).assign(**{"Cell type": "Stroma"})
    near = cells["x_um"] < 1000
    regions = RegionSet((Region("a", "", shapely.box(0, 0, 1000, 2000)),))
    cells["Region"] = np.where(near, "a", "")
    cells.loc[~near, "Cell type"] = "Tumor"
    row = next(r for r in score_rows(cells, ASSAY.replace(population="tumor"), regions) if r.region == "a")
    assert row.reason == f"no scored cells (none of {near.sum()} is tumor)"


def grid(values):
    rows, columns = values.shape
    at = np.argwhere(np.ones(values.shape))
    tallies = np.zeros((rows * columns, len(TALLIES)))
    tallies[:, 3] = values.ravel()
    tallies[:, 0] = 100 - values.ravel()
    return BlockTallies(at, tallies, 250.0)


def test_order_in_space():
    smooth = grid(np.add.outer(np.arange(8.0), np.arange(8.0)) * 5)
    found = heterogeneity(smooth)
    assert found["moran_i"] > 0.7
    assert found["moran_p"] == pytest.approx(0.001)
    board = heterogeneity(grid(np.indices((8, 8)).sum(axis=0) % 2 * 80.0))
    assert board["moran_i"] < found["moran_i"]
    chance = heterogeneity(grid(np.random.default_rng(0).permutation(64).reshape(8, 8).astype(float)))
    assert chance["moran_p"] > 0.05
    assert heterogeneity(grid(np.full((2, 2), 50.0))) == {"class_entropy": 1.0, "h_iqr": 0.0}
    alike = heterogeneity(grid(np.zeros((5, 5))))
    assert alike == {"class_entropy": 0.0, "h_iqr": 0.0}
    assert str(alike["class_entropy"]) == "0.0"


def test_moran_is_that_of_its_definition():
    values = np.random.default_rng(1).uniform(0, 100, (5, 6)).round()
    score = 3 * values.ravel()
    at = np.argwhere(np.ones((5, 6)))
    touching = np.abs(at[:, None] - at[None]).max(axis=2) == 1
    away = score - score.mean()
    expected = len(score) / touching.sum() * (away @ touching @ away) / (away @ away)
    assert heterogeneity(grid(values))["moran_i"] == pytest.approx(expected)


def test_what_is_left_out_is_why_nothing_is_scored():
    cells = cells_of(8, **{"Left out": "excluded", "Cell type": ["Tumor"] * 4 + ["Stroma"] * 4})
    for population, count in (("tumor", 4), ("all", 8), ("immune", 8)):
        row = score_rows(cells, ASSAY.replace(population=population))[0]
        expected = "no cell is known to be immune" if population == "immune" else f"{count} excluded"
        assert expected in row.reason
