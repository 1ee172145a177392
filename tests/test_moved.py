import importlib

import pytest

from ihcscore.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_old_paths_work_and_say_where_a_name_went(old):
    module, _, name = old.rpartition(".")
    home, _, own = MOVED[old].rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"is now ihcscore.{MOVED[old]}"):
        found = getattr(importlib.import_module(f"ihcscore.{module}"), name)
    assert found is getattr(importlib.import_module(f"ihcscore.{home}"), own)


def test_other_names_are_not_there():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ihcscore.nothing_like_it")
    with pytest.raises(AttributeError, match="is gone"):
        _ = importlib.import_module("ihcscore.pipeline").nothing_like_it
