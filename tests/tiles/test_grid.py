import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.tiles.grid import Grid

SIZES = st.integers(1, 300)


@given(SIZES, SIZES, st.integers(0, 40), st.integers(20, 100))
def test_blocks_partition_the_image(height, width, halo, core):
    seen = np.zeros((height, width), int)
    for block in Grid(height, width, halo, core):
        y0, x0, y1, x1 = block.core
        seen[y0:y1, x0:x1] += 1
    assert (seen == 1).all()


@given(SIZES, SIZES, st.integers(0, 40), st.integers(20, 100))
def test_windows_hold_the_halo_as_far_as_the_image_goes(height, width, halo, core):
    for block in Grid(height, width, halo, core):
        y0, x0, y1, x1 = block.core
        assert block.window == (max(0, y0 - halo), max(0, x0 - halo), min(height, y1 + halo), min(width, x1 + halo))


@given(st.lists(st.tuples(st.floats(0, 299), st.floats(0, 199)), min_size=1, max_size=20))
def test_every_point_has_one_owner(points):
    xy = np.array(points)
    assert (sum(block.owns(xy).astype(int) for block in Grid(200, 300, 10, 64)) == 1).all()


def test_blocks_come_in_rows_and_by_position():
    grid = Grid(100, 150, 5, 64)
    assert [(b.row, b.col) for b in grid] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert len(grid) == 6
    assert grid.tile(1, 2).core == (64, 128, 100, 150)
    with pytest.raises(IndexError, match="outside the grid"):
        grid.tile(2, 0)
