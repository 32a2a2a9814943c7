from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from skysift.errors import RequestError
from skysift.som import SOM, Bubble, Exponential, Grid, match, orientation_table


def reference(x: np.ndarray, grid: Grid, start: np.ndarray, radii: list[float]) -> np.ndarray:
    """Kohonen's batch algorithm, written out in float64."""
    m = start.astype(np.float64)
    for radius in radii:
        total, weight = np.zeros_like(m), np.zeros(len(m))
        for row in x.astype(np.float64):
            best = int(((m - row) ** 2).sum(1).argmin())
            for k in range(len(m)):
                d = abs(best // grid.columns - k // grid.columns) + abs(best % grid.columns - k % grid.columns)
                w = np.exp(-(d**2) / radius**2)
                total[k] += w * row
                weight[k] += w
        m = total / weight[:, None]
    return m


def test_training_is_the_batch_algorithm() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    grid = Grid(3, 2)
    draw = torch.Generator().manual_seed(5)
    rows = torch.randperm(60, generator=draw)[:6].sort().values.numpy()
    start = x[rows][torch.randperm(6, generator=draw).numpy()]
    som = SOM(grid, epochs=4, radius=Exponential(2.0, 0.7), batch_size=16, seed=5).fit(x)
    wanted = reference(x, grid, start, [2.0 * (0.7 / 2.0) ** (e / 3) for e in range(4)])
    np.testing.assert_allclose(som.layer_.prototypes.detach().numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_errors_are_those_written_out() -> None:
    x = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    som = SOM(Grid(4, 4, "hexagonal"), epochs=3, seed=2).fit(x)
    m = som.layer_.prototypes.detach().numpy()
    d = np.sqrt(((x[:, None] - m) ** 2).sum(2))
    assert som.quantisation_error(x) == pytest.approx(d.min(1).mean(), rel=1e-4)
    two = d.argsort(1)[:, :2]
    plane = Grid(4, 4, "hexagonal").positions.numpy()
    apart = np.linalg.norm(plane[two[:, 0]] - plane[two[:, 1]], axis=1) > 1.001
    assert som.topographic_error(x) == pytest.approx(apart.mean())
    np.testing.assert_array_equal(som.best(x)[0], d.argmin(1))


def test_a_map_lays_out_what_lies_on_a_line() -> None:
    x = np.random.default_rng(4).uniform(size=(500, 1)).astype(np.float32)
    som = SOM(Grid(1, 10), epochs=40, seed=0).fit(x)
    m = som.layer_.prototypes.detach().numpy()[:, 0]
    steps = np.diff(m)
    assert (steps > 0).all() or (steps < 0).all()
    assert som.quantisation_error(x) < 0.04
    assert som.topographic_error(x) == 0.0


def test_the_table_turns_images_exactly() -> None:
    image = np.random.default_rng(2).normal(size=(3, 5, 5)).astype(np.float32)
    table = orientation_table(5, 3)
    turned = {image.reshape(-1)[table[o].numpy()].tobytes() for o in range(8)}
    wanted = {
        np.ascontiguousarray(np.rot90(start, k, (1, 2))).tobytes()
        for start in (image, image[:, :, ::-1])
        for k in range(4)
    }
    assert turned == wanted
    assert len(turned) == 8


def test_matching_takes_the_best_of_eight() -> None:
    rng = np.random.default_rng(3)
    x, m = rng.normal(size=(6, 16)).astype(np.float32), rng.normal(size=(4, 16)).astype(np.float32)
    found = match(torch.from_numpy(x), torch.from_numpy(m), orientation_table(4))
    for b, k in itertools.product(range(6), range(4)):
        ways = [np.rot90(s, q) for s in (m[k].reshape(4, 4), m[k].reshape(4, 4)[:, ::-1]) for q in range(4)]
        squares = [float(((x[b].reshape(4, 4) - way) ** 2).sum()) for way in ways]
        assert float(found.distances[b, k]) == pytest.approx(min(squares), rel=1e-4)
        assert int(found.orientations[b, k]) == int(np.argmin(squares))


def test_turned_images_land_on_one_unit_at_the_same_distance() -> None:
    rng = np.random.default_rng(5)
    shapes = rng.normal(size=(3, 6, 6))
    ways = [np.rot90(s[:, ::flip], q) for s in shapes for flip in (1, -1) for q in range(4)]
    x = np.stack([w.reshape(-1) for w in ways]).astype(np.float32)
    som = SOM(Grid(2, 2), epochs=8, radius=Exponential(1.0, 0.1), orientations=8, seed=1).fit(x)
    units, distances = som.best(x)
    for shape in range(3):
        part = slice(8 * shape, 8 * shape + 8)
        assert len(set(units[part])) == 1
        np.testing.assert_allclose(distances[part], distances[8 * shape], atol=1e-2)
    plain = SOM(Grid(2, 2), epochs=8, radius=Exponential(1.0, 0.1), seed=1).fit(x)
    assert som.quantisation_error(x) < 0.5 * plain.quantisation_error(x)


def test_equal_seeds_give_equal_maps_and_batches_change_nothing_but_rounding() -> None:
    x = np.random.default_rng(6).normal(size=(100, 4)).astype(np.float32)
    maps = [
        SOM(Grid(3, 3), epochs=3, seed=s, batch_size=b).fit(x).layer_.prototypes
        for s, b in ((0, 32), (0, 32), (1, 32), (0, 7))
    ]
    assert torch.equal(maps[0], maps[1])
    assert not torch.allclose(maps[0], maps[2])
    torch.testing.assert_close(maps[0], maps[3], rtol=1e-4, atol=1e-5)


def test_units_out_of_reach_stay_where_they_are() -> None:
    x = np.zeros((5, 2), np.float32)
    som = SOM(Grid(2, 2), epochs=2, radius=Exponential(0.4, 0.4), neighbourhood=Bubble()).fit(x)
    assert torch.isfinite(som.layer_.prototypes).all()
    assert som.quantisation_error(x) == 0.0


def test_progress_counts_every_vector_of_every_epoch() -> None:
    seen: list[int] = []
    SOM(Grid(2, 2), epochs=3, batch_size=4).fit(np.ones((10, 2), np.float32), advance=seen.append)
    assert sum(seen) == 30


@pytest.mark.parametrize(
    ("x", "options", "text"),
    [
        (np.zeros((0, 3), np.float32), {}, "at least one"),
        (np.zeros(3, np.float32), {}, "vectors"),
        (np.full((4, 3), np.nan, np.float32), {}, "NaN or infinite"),
        (np.zeros((4, 3), np.float32), {"orientations": 8}, "no square image"),
    ],
)
def test_bad_vectors_are_refused(x: np.ndarray, options: dict[str, int], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        SOM(Grid(2, 2), **options).fit(x)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": 0}, {"orientations": 4}])
def test_bad_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(RequestError):
        SOM(Grid(2, 2), **options)  # type: ignore[arg-type]
