"""astropy's running commentary on headers, kept away from the user."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# `catch_warnings` swaps the process-wide filters: two threads inside at once could leave them swapped for good.
_LOCK = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore astropy's warnings on headers and files inside the block.

    Survey headers rarely please the FITS standard (FIRST holds tabs, ATCA `RA---NCP`, CASA `PC001001`), and a
    thousand mosaics would print as many pages. What matters to a user is said by skysift itself.
    """
    from astropy.utils.exceptions import AstropyWarning

    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.filterwarnings("ignore", module=r"astropy\.io\.fits")
        yield
