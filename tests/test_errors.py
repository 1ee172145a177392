import pickle

import pytest

from ihcscore import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.UnreadableImage("folder/tile.png", "is truncated"),
        errors.MissingPixelSize("tile.png", "states no pixel size"),
        errors.UnknownName("assay", "x", ["a", "b"]),
        errors.AssayError("mine", ["one", "two"]),
        errors.ResultMismatch("another"),
        errors.MissingExtra("stardist", "engines"),
        errors.WeightsError("nuclei.onnx: is damaged"),
        errors.OutputError("cannot write"),
    ],
)
def test_errors_have_one_root_and_survive_a_process_border(error):
    assert isinstance(error, errors.IhcscoreError)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert type(again) is type(error)


def test_messages_name_the_file_without_its_folders():
    assert str(errors.InputError("/home/someone/tile.png", "is gray")) == "tile.png: is gray"


def test_children_are_the_builtins_they_resemble():
    assert issubclass(errors.UnknownName, KeyError)
    assert issubclass(errors.AssayError, ValueError)
    assert issubclass(errors.OutputError, OSError)
