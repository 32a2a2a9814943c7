from __future__ import annotations

import pytest
import torch

from skysift.som import Grid


def test_manhattan_counts_rows_and_columns() -> None:
    grid = Grid(25, 25)
    found = grid.distances("manhattan")
    written = torch.tensor(
        [[abs(i // 25 - j // 25) + abs(i % 25 - j % 25) for j in range(625)] for i in range(625)], dtype=torch.float32
    )
    assert torch.equal(found, written)
    published = torch.tensor([[abs(i - j) // 25 + abs(i % 25 - j % 25) for j in range(625)] for i in range(625)])
    assert 0.45 < float((found != published).double().mean()) < 0.47, "the published formula is wrong for 46 %"


def test_euclidean_on_a_rectangle() -> None:
    found = Grid(3, 4).distances("euclidean")
    for i in range(12):
        for j in range(12):
            wanted = ((i // 4 - j // 4) ** 2 + (i % 4 - j % 4) ** 2) ** 0.5
            assert float(found[i, j]) == pytest.approx(wanted, abs=1e-6)


def test_hexagonal_steps_are_the_shortest_paths() -> None:
    """Oracle: neighbours by their distance in the plane, and breadth-first search over them."""
    grid = Grid(6, 5, "hexagonal")
    plane = torch.cdist(grid.positions, grid.positions)
    touch = (plane - 1).abs() < 1e-9
    steps = grid.distances("hex")
    for start in range(grid.units):
        reached, here, count = {start: 0}, [start], 0
        while here:
            count += 1
            here = [j for i in here for j in torch.nonzero(touch[i])[:, 0].tolist() if j not in reached]
            here = list(dict.fromkeys(here))
            reached |= dict.fromkeys(here, count)
        assert [int(d) for d in steps[start]] == [reached[j] for j in range(grid.units)]
    assert torch.equal(grid.neighbours(), touch)
    assert int(grid.neighbours()[12].sum()) == 6


def test_neighbours_on_a_rectangle() -> None:
    touch = Grid(3, 3).neighbours()
    assert touch[4].tolist() == [True] * 4 + [False] + [True] * 4
    assert torch.nonzero(touch[0])[:, 0].tolist() == [1, 3, 4]


def test_distances_by_default_and_those_that_do_not_exist() -> None:
    assert torch.equal(Grid(2, 3).distances(), Grid(2, 3).distances("manhattan"))
    with pytest.raises(ValueError, match="a rectangular map has no hex distance"):
        Grid(2, 2).distances("hex")
    with pytest.raises(ValueError, match="a hexagonal map has no manhattan distance"):
        Grid(2, 2, "hexagonal").distances("manhattan")
    with pytest.raises(ValueError, match="0 x 3 units"):
        Grid(0, 3)
    with pytest.raises(ValueError, match="no topology 'round'"):
        Grid(2, 3, "round")  # type: ignore[arg-type]
