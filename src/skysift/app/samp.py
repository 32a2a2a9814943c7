"""Sending images and tables to other programs of this machine by SAMP (TOPCAT, Aladin, DS9)."""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skysift.errors import RequestError, SkysiftError
from skysift.sky.quiet import quiet

IMAGE = "image.load.fits"
TABLE = "table.load.votable"
KEPT = 20
"""Files that stay for the receivers to read; older ones are deleted."""


class Sender:
    """Sends files to the SAMP hub of this machine; one for a process.

    Receivers read the files from the disk, so that they must run on the machine of the server. Calls take up to some
    seconds and may come from any thread.

    Examples
    --------
    >>> sender = Sender()
    >>> sender.send(fits_bytes, name="cutout 00c0ffee", suffix=".fits")
    """

    def __init__(self) -> None:
        self._folder: Path | None = None

    def send(self, data: bytes, *, name: str, suffix: str = ".fits") -> int:
        """Send a file to all programs that understand it.

        Parameters
        ----------
        data : bytes
            A FITS image or, with `.vot`, a VOTable.
        name : str
            What the receivers show.
        suffix : {".fits", ".vot"}
            Which of the two.

        Returns
        -------
        int
            How many programs it was sent to.

        Raises
        ------
        RequestError
            If no hub is running, or no program connected to it takes such files.
        SkysiftError
            If the hub does not answer.
        """
        hub = protocol()
        kind = {".fits": IMAGE, ".vot": TABLE}[suffix]
        client = hub.SAMPIntegratedClient(
            name="skysift", description="Cutouts of radio surveys", addr="127.0.0.1", callable=False
        )
        try:
            client.connect()
        except (hub.SAMPHubError, KeyError, OSError):  # KeyError: the only hub found is in another mode
            raise RequestError(
                "No SAMP hub is running on this machine: start TOPCAT, Aladin or DS9 here, then send again."
            ) from None
        try:
            takers = client.get_subscribed_clients(kind)
            if not takers:
                raise RequestError(
                    f"No program connected to the SAMP hub takes {'images' if kind == IMAGE else 'tables'}: "
                    "start Aladin, DS9 or TOPCAT, then send again."
                )
            path = self._keep(data, name, suffix)
            about = {"url": f"file://{quote(str(path))}", "name": name}
            about["image-id" if kind == IMAGE else "table-id"] = path.stem
            client.notify_all({"samp.mtype": kind, "samp.params": about})
            return len(takers)
        except (hub.SAMPHubError, hub.SAMPProxyError, OSError) as error:
            raise SkysiftError(f"The SAMP hub did not take the message ({error}): start it again.") from error
        finally:
            _disconnect(client)

    def close(self) -> None:
        """Delete the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _keep(self, data: bytes, name: str, suffix: str) -> Path:
        """Write a file that only this user can read, and forget the oldest ones."""
        if self._folder is None or not self._folder.is_dir():
            self._folder = Path(tempfile.mkdtemp(prefix="skysift-samp-"))
        old = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in old[: max(0, len(old) - KEPT + 1)]:
            path.unlink(missing_ok=True)
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "cutout"
        path = self._folder / f"{plain}{suffix}"
        path.write_bytes(data)
        return path


def protocol() -> Any:
    """Return astropy's SAMP module; astropy 8 warns on import that it will move to pyvo."""
    with quiet():
        from astropy import samp
    return samp


@lru_cache(maxsize=1)
def shared() -> Sender:
    """Return the sender of this process; its files go when the process ends."""
    sender = Sender()
    atexit.register(sender.close)
    return sender


def _disconnect(client: Any) -> None:
    """Leave the hub, which may be gone by now."""
    hub = protocol()
    with contextlib.suppress(hub.SAMPHubError, hub.SAMPProxyError, OSError):
        client.disconnect()
