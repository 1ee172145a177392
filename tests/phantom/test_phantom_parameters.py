"""Parameters: every one does something, none is accepted that makes no sense."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihcscore.errors import UnknownName
from ihcscore.phantom import PRESETS, Phantom, PhantomParameters, load_parameters, render
from ihcscore.phantom.limits import FIXED, LIMITS

NAMES = [f.name for f in fields(PhantomParameters)]
OTHER = {
    "size_px": (128, 120),
    "mpp": 0.4,
    "marker": "negative",
    "hematoxylin_vector": (0.75, 0.58, 0.3),
    "dab_vector": (0.35, 0.55, 0.75),
}
CROWDED = {
    **{"ghosts_per_mm2": 3000, "pigment_per_mm2": 1500, "debris_per_mm2": 3000},
    **{"red_cells_per_mm2": 5000, "refractile_per_mm2": 3000, "giant_share": 0.2, "edge_dab_od": 0.5},
}
MARKER_OF = {"completeness": "membranous", "nucleus_leak": "membranous"}


def middle(marker: str) -> PhantomParameters:
    """Fix every range, so that one knob can be turned alone; crowd the tile, so that a small one shows it."""
    ranges = {name: sum(getattr(PhantomParameters(), name)) / 2 for name in NAMES if name not in FIXED}
    return PhantomParameters.from_dict(
        ranges | CROWDED | {"size_px": (128, 128), "marker": marker, "completeness": 0.7, "stroma_share": 0.4}
    )


def turned(base: PhantomParameters, name: str) -> PhantomParameters:
    """Move one parameter well away from its value, inside its limits."""
    value = OTHER.get(name)
    if value is None:
        low, high = LIMITS[name]
        now = getattr(base, name)[0]
        value = now + 0.4 * ((high - now) if high - now > now - low else (low - now))
    return PhantomParameters.from_dict(base.to_dict() | {name: value})


@pytest.fixture(scope="module")
def plain() -> dict[str, Phantom]:
    return {marker: render(middle(marker), 11) for marker in ("nuclear", "membranous")}


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_changes_the_picture(name: str, plain: dict[str, Phantom]) -> None:
    before = plain[MARKER_OF.get(name, "nuclear")]
    after = render(turned(before.parameters, name), 11)
    assert not np.array_equal(before.rgb, after.rgb)


def test_limits_cover_every_range() -> None:
    assert set(LIMITS) == set(NAMES) - set(FIXED)


def test_every_parameter_is_documented() -> None:
    text = PhantomParameters.__doc__ or ""
    assert [name for name in NAMES if name not in text] == []


def test_validation_reports_all_problems_at_once() -> None:
    with pytest.raises(ValueError, match="phantom parameters: ") as caught:
        PhantomParameters(
            size_px=(4, 512), mpp=0, marker="nuclei", blur_um=(2, 1), tint=(0, float("nan")), dab_vector=(0, 0, 0)
        )
    for name in ("size_px", "mpp", "marker", "blur_um", "tint", "dab_vector"):
        assert name in str(caught.value)


def test_stain_vectors_that_could_meet_are_refused() -> None:
    with pytest.raises(ValueError, match="degrees apart"):
        PhantomParameters(hematoxylin_vector=(0.3, 0.6, 0.7), dab_vector=(0.3, 0.57, 0.75))


@pytest.mark.parametrize("value", ["0.3", (0.3,), (0.1, 0.2, 0.3), None, (True, True)])
def test_what_is_no_range_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="blur_um must be"):
        PhantomParameters.from_dict({"blur_um": value})


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown phantom preset 'nuclaer'"):
        load_parameters("nuclaer")
    file = tmp_path / "p.toml"
    file.write_text("blur_mm = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="unknown blur_mm"):
        load_parameters(file)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load_and_survive_toml(name: str, tmp_path: Path) -> None:
    parameters = load_parameters(name)
    assert parameters.marker == name
    file = tmp_path / "p.toml"
    file.write_text(parameters.to_toml(), encoding="utf-8")
    assert load_parameters(file) == load_parameters(str(file)) == parameters


@settings(max_examples=25)
@given(st.data())
def test_any_range_inside_the_limits_survives_toml_and_bounds_the_draw(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([n for n in sorted(LIMITS) if n != "stain_shift_deg"]))
    ends = sorted(data.draw(st.tuples(st.floats(*LIMITS[name]), st.floats(*LIMITS[name]))))
    parameters = PhantomParameters.from_dict({name: ends})
    drawn = parameters.draw(np.random.default_rng(data.draw(st.integers(0, 99))))
    # low + p * (high - low) may round past an end
    assert ends[0] - 1e-9 <= drawn[name] <= ends[1] + 1e-9
    assert parameters.to_toml().count("\n") == len(NAMES)
