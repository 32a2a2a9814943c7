"""Temperature scaling: one number that turns logits into probabilities that can be trusted (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch.nn.functional import cross_entropy

LEAST, LARGEST = 1e-3, 1e3
PARTS = 5

Logits = NDArray[np.float64]


def fit_temperature(logits: Logits, truth: NDArray[np.int64]) -> float:
    """Return the temperature T with the largest likelihood of softmax(logits / T), by L-BFGS on ln T.

    Parameters
    ----------
    logits : ndarray of float64, shape (n, k)
        Of samples that the classifier was not trained on.
    truth : ndarray of int64, shape (n,)
        Their classes.

    Returns
    -------
    float
        In [0.001, 1000]; 1 where every sample is right already, since the likelihood then only grows towards T = 0, and
        where there is none.

    References
    ----------
    Guo et al. 2017 (arXiv:1706.04599), section 4.2.
    """
    if (logits.argmax(axis=1) == truth).all():
        return 1.0
    values, classes = torch.from_numpy(np.asarray(logits, np.float64)), torch.from_numpy(truth)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [log_temperature], max_iter=200, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(values / log_temperature.clamp(np.log(LEAST), np.log(LARGEST)).exp(), classes)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(log_temperature.detach().clamp(np.log(LEAST), np.log(LARGEST)).exp())


def scaled(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """Return softmax(logits / temperature), shape (n, k)."""
    probabilities: NDArray[np.float64] = softmax(logits / temperature, axis=1)
    return probabilities


def cross_fitted(logits: Logits, truth: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    """Return probabilities of which each was scaled by a temperature fitted without its sample.

    So the samples that the temperature is fitted on can also tell honestly how well it does.

    Parameters
    ----------
    logits, truth
        As for `fit_temperature`.
    seed : int
        Of the division into five parts.

    Returns
    -------
    ndarray of float64, shape (n, k)
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    part = rng.permutation(len(truth)) % PARTS
    probabilities = np.empty_like(logits)
    for number in range(PARTS):
        mine = part == number
        probabilities[mine] = scaled(logits[mine], fit_temperature(logits[~mine], truth[~mine]))
    return probabilities
