"""The queue against a list."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from skysift.ssl.queue import Queue


def rows(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def test_oldest_rows_go_first_and_a_push_may_wrap_around() -> None:
    queue = Queue(5, 4)
    start = queue.rows.clone()
    torch.testing.assert_close(start.norm(dim=1), torch.ones(5))
    for seed in (1, 2):
        queue.push(rows(3, seed))
    first, second = normalize(rows(3, 1), dim=1), normalize(rows(3, 2), dim=1)
    torch.testing.assert_close(queue.rows, torch.stack([second[2], first[1], first[2], second[0], second[1]]))
    assert queue.place.item() == 1
    assert set(queue.state_dict()) == {"rows", "place"}


def test_more_rows_than_places_leave_the_newest() -> None:
    queue = Queue(2, 4)
    queue.push(rows(5, 3))
    torch.testing.assert_close(queue.rows, normalize(rows(5, 3)[-2:], dim=1))


def test_nearest_are_those_of_a_full_sort() -> None:
    queue = Queue(50, 4)
    asked = rows(7, 4)
    found = queue.nearest(asked, 3)
    for row, neighbours in zip(asked, found, strict=True):
        cosine = torch.nn.functional.cosine_similarity(row[None], queue.rows)
        order = cosine.argsort(descending=True)[:3]
        torch.testing.assert_close(neighbours, queue.rows[order])
    assert not found.requires_grad
