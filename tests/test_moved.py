import importlib

import pytest

from ihcscore.moved import MODULES, NAMES, new_path

PUBLIC = [
    "assay.load_assay",
    "pipeline.score_image",
    "pipeline.ImageResult",
    "rows.ScoreRow",
    "scores.allred.allred",
    "scores.tallies.Tallies",
    "intervals.sampling",
    "outputs.tables.read_blocks",
    "segment.registry.load_segmenter",
    "segment.engines.stardist.StarDist",
    "batch.score_files",
    "rescoring.rescore_folder",
    "replaying.replay",
    "tma.scoring.score_arrays",
    "io.inputs.expand_inputs",
    *NAMES,
]


@pytest.mark.parametrize("old", PUBLIC)
def test_old_paths_work_and_say_where_a_name_went(old):
    module, _, name = old.rpartition(".")
    home, _, own = new_path(module, name).rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"is now ihcscore.{home}.{own}"):
        found = getattr(importlib.import_module(f"ihcscore.{module}"), name)
    assert found is getattr(importlib.import_module(f"ihcscore.{home}"), own)


@pytest.mark.parametrize("new", sorted(set(MODULES.values())))
def test_new_places_exist(new):
    importlib.import_module(f"ihcscore.{new}")


def test_other_names_are_not_there():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ihcscore.nothing_like_it")
    with pytest.warns(DeprecationWarning, match="is now"), pytest.raises(AttributeError, match="nothing_like_it"):
        _ = importlib.import_module("ihcscore.pipeline").nothing_like_it
