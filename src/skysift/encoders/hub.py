"""Files of pretrained models: from the hub's cache, else from the hub, else a clear answer at once."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlparse

from skysift.errors import RequestError, SkysiftError

REACH_SECONDS = 4.0
REMEMBERED_SECONDS = 60.0
CARD = "README.md"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
)
LOCAL = "name a local copy with --weights-from, or use --weights random"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def remedy(repository: str) -> str:
    """Return what to do about a model that can't be had: how its files get into the cache, and what else there is."""
    from huggingface_hub import constants

    return (
        f"run `hf download {repository}` where there is network and copy its cache to {constants.HF_HUB_CACHE}, {LOCAL}"
    )


def timm_weights(name: str) -> Path:
    """Return the local file of the pretrained weights of a timm model.

    Parameters
    ----------
    name : str
        As in `timm.list_pretrained()`.

    Raises
    ------
    RequestError
        If timm knows no weights for it.
    SkysiftError
        If they are neither in the cache nor within reach.
    """
    from skysift.encoders.backbones import check_name, timm_library

    check_name(name)
    config = timm_library().models.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise RequestError(f"timm has no pretrained weights for {name}: use --weights random, or --weights-from FILE.")
    if config.hf_hub_id:
        names = (config.hf_hub_filename,) if config.hf_hub_filename else WEIGHTS
        return _first_of(config.hf_hub_id, names, what=f"timm:{name}")
    return _from_url(config.url, what=f"timm:{name}")


def transformers_folder(repository: str, *, weights: bool = True) -> Path:
    """Return the local folder of a model of the hub: configuration, preprocessing, and weights if asked for.

    Raises
    ------
    RequestError
        If the hub has no such model.
    SkysiftError
        If it is neither in the cache nor within reach.
    """
    what = f"hf:{repository}"
    config = _first_of(repository, ("config.json",), what=what)
    for optional in ("preprocessor_config.json", "processor_config.json", CARD):
        _fetch(repository, optional, what=what)
    if weights:
        _weights_of(repository, what)
    return config.parent


def tokenizer_folder(repository: str) -> Path:
    """Return the local folder of a two-tower model of the hub, with what turns text into its numbers."""
    folder = transformers_folder(repository)
    for optional in TOKENIZER:
        _fetch(repository, optional, what=f"hf:{repository}")
    return folder


def licence_of(folder: Path) -> str | None:
    """Return the licence that the card of a model states, if there is a card."""
    from huggingface_hub import ModelCard

    try:
        return ModelCard.load(folder / CARD, ignore_metadata_errors=True).data.license or None
    except (OSError, ValueError):
        return None


def _weights_of(repository: str, what: str) -> None:
    """Fetch one file of weights, or all shards of an index."""
    import json

    for name in WEIGHTS:
        if _fetch(repository, name, what=what) is not None:
            return
        index = _fetch(repository, f"{name}.index.json", what=what)
        if index is not None:
            for shard in sorted(set(json.loads(index.read_text())["weight_map"].values())):
                _first_of(repository, (shard,), what=what)
            return
    raise _absent(repository, WEIGHTS, what)


def _first_of(repository: str, names: Sequence[str], *, what: str) -> Path:
    for name in names:
        path = _fetch(repository, name, what=what)
        if path is not None:
            return path
    raise _absent(repository, names, what)


def _absent(repository: str, names: Sequence[str], what: str) -> SkysiftError:
    wanted = " or ".join(names)
    return SkysiftError(
        f"{what}: no {wanted} of {repository} in the hub's cache, nor to be had from the hub; {remedy(repository)}."
    )


def _fetch(repository: str, name: str, *, what: str) -> Path | None:
    """Return a file of a repository, from the cache or else the hub; None where the repository does not have it."""
    from huggingface_hub import constants, errors, hf_hub_download, try_to_load_from_cache

    try:
        known = try_to_load_from_cache(repository, name)
    except errors.HFValidationError:
        raise RequestError(f"{what}: {repository!r} is no name of a model of the hub (OWNER/NAME).") from None
    if isinstance(known, str):
        return Path(known)
    if known is not None:  # the cache remembers that there is none
        return None
    if constants.HF_HUB_OFFLINE and _has_snapshot(repository):
        return None
    if constants.HF_HUB_OFFLINE:
        raise SkysiftError(f"{what}: not in the hub's cache, and HF_HUB_OFFLINE is set; {remedy(repository)}.")
    if not reachable(constants.ENDPOINT):
        if _has_snapshot(repository):
            return None
        raise SkysiftError(
            f"{what}: not in the hub's cache, and {constants.ENDPOINT} can't be reached; {remedy(repository)}."
        )
    # the library of HTTP changes between versions of the hub's client: its errors are reached through theirs
    network = cast("tuple[type[Exception], ...]", (OSError, *errors.HfHubHTTPError.__bases__))
    try:
        return Path(hf_hub_download(repository, name))
    except errors.LocalEntryNotFoundError as error:
        raise _failed(repository, name, what, error) from error
    except errors.EntryNotFoundError:
        return None
    except errors.RepositoryNotFoundError:
        raise RequestError(f"{what}: the hub has no public model {repository}; check the name.") from None
    except network as error:
        raise _failed(repository, name, what, error) from error


def _failed(repository: str, name: str, what: str, error: Exception) -> SkysiftError:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return SkysiftError(f"{what}: {repository}/{name} can't be fetched ({text}); {remedy(repository)}.")


def _has_snapshot(repository: str) -> bool:
    """Tell whether the cache holds something of a repository, so that a file it lacks is one that may not exist."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in ("config.json", *WEIGHTS))


def _from_url(url: str, *, what: str) -> Path:
    """Return the file of an address that timm names, from torch's cache or else from there."""
    from timm.models._hub import download_cached_file, get_cache_dir

    cached = Path(get_cache_dir()) / Path(urlparse(url).path).name
    if cached.is_file():
        return cached
    if not reachable(url):
        raise SkysiftError(f"{what}: {url} can't be reached; put the file at {cached}, {LOCAL}.")
    try:
        return Path(download_cached_file(url, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise SkysiftError(f"{what}: {url} can't be fetched ({error}); put the file at {cached}, {LOCAL}.") from error


def reachable(address: str) -> bool:
    """Tell within seconds whether a connection to a server can be opened; True where a proxy stands between."""
    return _reachable(address, int(time.monotonic() // REMEMBERED_SECONDS))


@lru_cache(maxsize=16)
def _reachable(address: str, period: int) -> bool:  # noqa: ARG001 - an answer holds for one period
    parts = urlparse(address)
    if parts.hostname is None:
        return False
    if urllib.request.getproxies().get(parts.scheme):
        return True
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return bool(_within(REACH_SECONDS, lambda: _connects(str(parts.hostname), port)))


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=REACH_SECONDS).close()
    except OSError:
        return False
    return True


def _within(seconds: float, question: Callable[[], Any]) -> Any:
    """Return the answer to a question, or None when it takes too long (a resolver can hang for minutes)."""
    answer: list[Any] = []
    thread = threading.Thread(target=lambda: answer.append(question()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else None
