"""The old pipeline's option names."""

from __future__ import annotations

import pytest

from skysift.cli.legacy import modernise


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cutouts --mosaics_path d --window_size=128", "cutouts --mosaics d --window-size=128"),
        ("merge --cutouts_ids a b", "merge --catalogues a b"),
        ("features --merge_id a", "features --cutouts a"),
        ("features --cutouts_ids a", "features --cutouts a"),
        ("cluster --features_id f --config_path c.yaml", "cluster --features f --config c.yaml"),
        ("subsample --clusters_id c --target_size 5", "subsample --clusters c --target-size 5"),
        ("train --subsample_id s --merged_cutouts_id m", "train --cutouts s --merged-cutouts-id m"),
        ("evaluate --model_id m --dataset mnist", "evaluate --model m --dataset mnist"),
        ("name a_b c_d", "name a_b c_d"),
        ("train s --set a_b=c_d -- --x_y", "train s --set a_b=c_d -- --x_y"),
    ],
)
def test_names(old: str, new: str) -> None:
    assert modernise(old.split()) == new.split()
