"""From a word to an encoder: `timm:NAME`, `hf:NAME`, an artifact, or a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError

from skysift.encoders.backbones import build_backbone, check_name, drawing, size_arguments, timm_library
from skysift.encoders.checkpoint import DESCRIPTION, load_checkpoint
from skysift.encoders.encoder import Description, Encoder, measured_dim, preset
from skysift.encoders.hub import licence_of, timm_weights, transformers_folder
from skysift.encoders.layouts import load_layout, read_tensors
from skysift.encoders.processors import image_settings
from skysift.encoders.timm_folder import TimmFolder, is_timm_folder, read_timm_folder
from skysift.errors import RequestError, SkysiftError
from skysift.imaging import Preprocess

if TYPE_CHECKING:
    from skysift.store.store import Store

Weights = Literal["pretrained", "random"]
DEFAULT_PREPROCESS = "riggi2024"


@dataclass(frozen=True)
class Request:
    """What is asked for; small and picklable, so that workers can load the same encoder.

    Attributes
    ----------
    spec : str
        `timm:NAME`, `hf:NAME`, a folder behind either, or a folder of ours.
    weights : str
        `pretrained`, or `random`: the same backbone with weights from `seed`.
    seed : int
        Of random weights.
    channels, image_size : int, optional
        Of the images, where they shall differ from the encoder's own.
    preprocess : str, optional
        Preset of `imaging`, where it shall not be the usual one.
    weights_from : str, optional
        A local file or folder of weights instead of the hub's.
    """

    spec: str
    weights: Weights = "pretrained"
    seed: int = 0
    channels: int | None = None
    image_size: int | None = None
    preprocess: str | None = None
    weights_from: str | None = None

    def load(self) -> Encoder:
        """Load the encoder onto the CPU, in evaluation mode."""
        family, _, name = self.spec.partition(":")
        if family in LOADERS and name:
            return LOADERS[family](self, name)
        return _ours(self, Path(self.spec))


def load_encoder(
    spec: str,
    *,
    weights: Weights = "pretrained",
    seed: int = 0,
    channels: int | None = None,
    image_size: int | None = None,
    preprocess: str | None = None,
    weights_from: str | Path | None = None,
    store: Store | None = None,
) -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    spec : str
        `timm:NAME` (any backbone of timm), `hf:NAME` (image models of transformers, image towers of CLIP and SigLIP),
        `timm:FOLDER` and `hf:FOLDER` (as `timm.models.save_for_hf` and `save_pretrained` write them), the folder of an
        encoder of ours, or the id, name or prefix of a model in `store`.
    weights : str
        `pretrained`, or `random`: an untrained baseline.
    seed : int
        Of random weights; torch's global generator is left as it was.
    channels : int, optional
        Of the images; the backbone's own by default. timm's first convolution is adapted, transformers' models take
        one channel three times.
    image_size : int, optional
        Side of the images [pixel]; the backbone's own by default.
    preprocess : str, optional
        Preset that turns cutouts into images; `riggi2024` by default for models of the web, an encoder of ours
        brings its own.
    weights_from : path, optional
        Local weights for `timm:NAME` (a checkpoint or a folder) or `hf:NAME` (a folder) instead of the hub's.
    store : Store, optional
        Where artifacts are.

    Returns
    -------
    Encoder
        On the CPU, in evaluation mode.

    Raises
    ------
    RequestError
        If there is no such encoder, or it can't be changed as asked.
    SkysiftError
        If its weights can't be had or are damaged.
    """
    if ":" not in spec and not Path(spec).is_dir() and store is not None:
        artifact = store.get(spec)
        if artifact.kind != "model":
            raise RequestError(f"{spec} is a {artifact.kind} artifact, not a model; `skysift ls` shows the models.")
        spec = str(artifact.folder)
    local = None if weights_from is None else str(weights_from)
    return Request(spec, weights, seed, channels, image_size, preprocess, local).load()


def _from_timm(request: Request, name: str) -> Encoder:
    folder = _timm_folder(request, name)
    arguments: dict[str, Any] = {}
    if folder is not None:
        name, config, arguments = folder.name, folder.config, folder.arguments
    else:
        check_name(name)
        config = timm_library().models.get_pretrained_cfg(name)
    own_channels, own_size, _ = config.input_size if config is not None else (3, 224, 224)
    channels, size = request.channels or own_channels, request.image_size or own_size
    local = folder.weights if folder is not None else request.weights_from
    if request.weights == "pretrained" and local is None:
        module = _pretrained(name, channels, size)
        origin = {"weights": f"timm:{config.architecture}.{config.tag}", "licence": str(config.license or "not stated")}
    else:
        module = build_backbone(name, channels=channels, seed=request.seed, image_size=size, arguments=arguments)
        origin = {"weights": f"random, seed {request.seed}"}
        if request.weights == "pretrained":
            load_layout(module, read_tensors(str(local)))
            origin = {"weights": "a local file"} | ({} if folder is None else _licence(folder.config.license))
    module = module.eval()
    return Encoder(
        module,
        Description(
            family="timm",
            backbone=name.split(".")[0],
            arguments=arguments,
            channels=channels,
            image_size=size,
            dim=measured_dim("timm", module, channels, size),
            mean=_per_channel(config.mean, channels) if config is not None else None,
            std=_per_channel(config.std, channels) if config is not None else None,
            preprocess=_preprocess(request, channels, size),
            origin=origin,
        ),
    )


def _timm_folder(request: Request, name: str) -> TimmFolder | None:
    """Return the folder of timm's that is meant, by `timm:FOLDER` or by `weights_from`."""
    if request.weights_from is not None and Path(request.weights_from).is_dir():
        return read_timm_folder(Path(request.weights_from), name)
    place = Path(name).expanduser()
    return read_timm_folder(place) if is_timm_folder(place) else None


def _pretrained(name: str, channels: int, size: int) -> Any:
    """Let timm load its own file of weights, adapted to channels and size."""
    path = timm_weights(name)
    with drawing(0):
        try:
            return timm_library().create_model(
                name,
                pretrained=True,
                num_classes=0,
                in_chans=channels,
                pretrained_cfg_overlay={"file": str(path)},
                **size_arguments(name, size),
            )
        except (RuntimeError, OSError, ValueError, SafetensorError) as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SkysiftError(f"timm:{name}: {path} can't be loaded ({text}); remove it and fetch it anew.") from error


def _from_hub(request: Request, name: str) -> Encoder:
    from skysift.encoders import transformer

    random = request.weights == "random"
    place = Path(request.weights_from or name).expanduser()
    if request.weights_from is not None and not place.is_dir():
        raise RequestError(f"{place}: not a folder; --weights-from takes the folder that save_pretrained() wrote.")
    folder = place if place.is_dir() else transformers_folder(name, weights=not random)
    shown = str(place) if place.is_dir() else name
    if is_timm_folder(folder):
        return _from_timm(replace(request, weights_from=None), str(folder))
    if random:
        config = transformer.image_config(folder, shown)
        module = transformer.seeded(config, shown, request.seed)
    else:
        module, config = transformer.from_folder(folder, shown)
    native = int(getattr(config, "num_channels", 3))
    channels = request.channels or native
    if channels not in (1, native):
        raise RequestError(f"hf:{shown} takes images of {native} channels (or 1, repeated), not {channels}.")
    settings = image_settings(folder, config, native, shown)
    size = request.image_size or settings.side
    plain: dict[str, Any] = {k: v for k, v in config.to_dict().items() if k not in UNSTABLE}
    where = f"random, seed {request.seed}" if random else "a local folder" if place.is_dir() else f"hf:{name}"
    return Encoder(
        module,
        Description(
            family="hf",
            backbone=config.model_type,
            arguments={"config": plain},
            channels=channels,
            image_size=size,
            dim=_checked_dim(module, shown, channels, size),
            mean=settings.mean,
            std=settings.std,
            preprocess=_preprocess(request, channels, size),
            origin={"weights": where} | ({} if random else _licence(licence_of(folder))),
        ),
    )


def _ours(request: Request, folder: Path) -> Encoder:
    if not (folder / DESCRIPTION).is_file():
        raise RequestError(
            f"{request.spec}: no encoder of that name; give timm:NAME, hf:NAME, a folder with {DESCRIPTION}, or the id "
            "of a model in the store."
        )
    encoder = load_checkpoint(folder, random=request.weights == "random", seed=request.seed)
    for option, own in (("channels", encoder.channels), ("image_size", encoder.image_size)):
        wanted = getattr(request, option)
        if wanted not in (None, own):
            raise RequestError(
                f"{folder}: this encoder was made with {option} {own}; {option} {wanted} does not fit it."
            )
    if request.preprocess is not None or request.weights_from is not None:
        raise RequestError(f"{folder}: an encoder of ours brings its own preprocessing and weights; leave both out.")
    return encoder


LOADERS = {"timm": _from_timm, "hf": _from_hub}
UNSTABLE = ("transformers_version", "_name_or_path", "model_type", "architectures", "dtype", "torch_dtype")
"""Entries of a configuration that change with the library or the place and build nothing."""


def _checked_dim(module: Any, name: str, channels: int, size: int) -> int:
    """Try the model on an empty image: some need more than pixels, or can't take this size."""
    try:
        return measured_dim("hf", module, channels, size)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RequestError(f"hf:{name} can't encode images of {size} pixels alone ({text}).") from error


def _licence(text: str | None) -> dict[str, str]:
    return {"licence": text} if text else {}


def _preprocess(request: Request, channels: int, size: int) -> Preprocess:
    """Return the preset; the encoder normalises by itself, as its backbone needs it."""
    chosen, _, _ = preset(request.preprocess or DEFAULT_PREPROCESS, size=size, channels=channels)
    return chosen


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one number a channel; their mean for each where the numbers are of another count."""
    if len(values) == channels:
        return tuple(float(v) for v in values)
    return (float(sum(values) / len(values)),) * channels
