"""The filter of artefacts: learnt from those that people named, apart from their taste."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BACKGROUND = 500
"""Cutouts nobody judged, drawn as examples of what is mostly sound."""
TREES = 200


def artefact_probability(
    space: npt.NDArray[np.float32],
    artefact_rows: npt.NDArray[np.int64],
    sound_rows: npt.NDArray[np.int64],
    seed: int,
) -> npt.NDArray[np.float64]:
    """Return how likely each cutout is an artefact.

    A random forest whose classes weigh the same. Examples of sound cutouts are all that were scored, and a draw of
    those that nobody judged, so that it does not reach far around the first few artefacts.

    Parameters
    ----------
    space : ndarray, shape (N, K)
        Positions of all cutouts.
    artefact_rows, sound_rows : ndarray of int
        Cutouts that people called artefacts, and cutouts that they scored.
    seed : int
        Of the draw and the forest.

    Returns
    -------
    ndarray, shape (N,), float64
        In [0, 1]; zero where no artefact was named.
    """
    from sklearn.ensemble import RandomForestClassifier

    if not len(artefact_rows):
        return np.zeros(len(space))
    judged = np.zeros(len(space), dtype=bool)
    judged[artefact_rows] = judged[sound_rows] = True
    unjudged = np.flatnonzero(~judged)
    generator = np.random.default_rng([seed, int(judged.sum())])
    drawn = generator.choice(unjudged, min(BACKGROUND, len(unjudged)), replace=False)
    rows = np.concatenate([artefact_rows, sound_rows, drawn])
    broken = np.arange(len(rows)) < len(artefact_rows)
    if broken.all():
        return np.ones(len(space))
    forest = RandomForestClassifier(n_estimators=TREES, class_weight="balanced", random_state=seed)
    return np.asarray(forest.fit(space[rows], broken).predict_proba(space)[:, 1], dtype=np.float64)
