"""What preprocessing does, as data: a transform for each channel, then min-max, then resize."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from skysift.errors import RequestError


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SigmaClip(_Options):
    """Clamp to bounds around the median, in standard deviations of what is left, as astropy's `sigma_clip`."""

    name: Literal["sigma_clip"] = "sigma_clip"
    low: float = Field(5.0, gt=0, description="Lower bound below the median [standard deviations].")
    high: float = Field(30.0, gt=0, description="Upper bound above the median [standard deviations].")
    iterations: int = Field(5, ge=1, description="Most iterations.")


class ZScale(_Options):
    """Clamp to IRAF's zscale limits, as astropy's `ZScaleInterval`."""

    name: Literal["zscale"] = "zscale"
    contrast: float = Field(0.25, gt=0, description="Scaling factor of the fitted slope.")


class MinMax(_Options):
    """Leave the values as they are."""

    name: Literal["minmax"] = "minmax"


class Power(_Options):
    """Stretch min-max-normalised values: x^power."""

    name: Literal["power"] = "power"
    power: float = Field(2.0, gt=0, description="Exponent.")


class Sinh(_Options):
    """Stretch min-max-normalised values: sinh(x / a) / sinh(1 / a)."""

    name: Literal["sinh"] = "sinh"
    a: float = Field(1 / 3, gt=0, description="Scale of the linear range.")


class Log(_Options):
    """Stretch min-max-normalised values: log(a x + 1) / log(a + 1)."""

    name: Literal["log"] = "log"
    a: float = Field(1000.0, gt=0, description="Strength.")


class Sqrt(_Options):
    """Stretch min-max-normalised values: sqrt(x)."""

    name: Literal["sqrt"] = "sqrt"


class Asinh(_Options):
    """Stretch min-max-normalised values: asinh(x / a) / asinh(1 / a)."""

    name: Literal["asinh"] = "asinh"
    a: float = Field(0.1, gt=0, description="Where the linear range ends.")


class OneOf(_Options):
    """One of several stretches for each image, by its seed; the first one where no seed is given."""

    name: Literal["one_of"] = "one_of"
    choices: tuple[Power | Sinh | Log | Sqrt | Asinh, ...] = Field(
        min_length=1, description="The stretches, equally likely."
    )


Transform = Annotated[
    SigmaClip | ZScale | MinMax | Power | Sinh | Log | Sqrt | Asinh | OneOf, Field(discriminator="name")
]


class Preprocess(_Options):
    """Turn a cutout with NaN into an image in [0, 1].

    Each channel clamps or stretches the cutout, is scaled to [0, 1] over its valid pixels and resized; invalid pixels
    weigh nothing and are filled at the end. The presets follow Riggi et al. 2024 (arXiv:2404.18462, section 3.2) and
    Cecconello et al. 2024 (arXiv:2411.14078).
    """

    preset_name: str = Field("custom", description="The preset it came from.")
    channels: int = Field(3, ge=1, le=3, description="Number of channels.")
    transforms: tuple[Transform, ...] = Field(
        (MinMax(),), min_length=1, description="One a channel; a single one serves all channels."
    )
    size: int = Field(224, ge=1, description="Side of the image [pixel].")
    fill: Literal["zero", "median"] = Field("zero", description="Value of invalid pixels.")
    zero_is_invalid: bool = Field(False, description="Exact zeros are no data (as in R24's code).")
    mean: tuple[float, ...] | None = Field(None, description="Subtracted at the end, a value a channel.")
    std: tuple[float, ...] | None = Field(None, description="Divided by at the end, a value a channel.")

    @classmethod
    def preset(cls, name: str, /, **overrides: Any) -> Self:
        """Return a preset with some fields replaced.

        Parameters
        ----------
        name : str
            `riggi2024`, `minmax`, `zscale`, `asinh`, `mixed` or `imagenet`.
        **overrides
            Any field; most often `size` and `channels`. With fewer channels than the preset has, the first are kept.

        Raises
        ------
        RequestError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise RequestError(f"There is no preprocessing {name!r}; there are {', '.join(PRESETS)}.")
        options = {"preset_name": name, **PRESETS[name](), **overrides}
        kept = int(options.get("channels", 3))
        for field in ("transforms", "mean", "std"):
            if options.get(field) is not None:
                options[field] = tuple(options[field])[:kept]
        return cls(**options)

    def channel(self, index: int) -> Transform:
        """Return the transform of a channel."""
        return self.transforms[min(index, len(self.transforms) - 1)]

    @property
    def clips(self) -> list[SigmaClip]:
        """The sigma clippings that differ."""
        channels = map(self.channel, range(self.channels))
        return list(dict.fromkeys(transform for transform in channels if isinstance(transform, SigmaClip)))


PRESETS: Mapping[str, Callable[[], dict[str, Any]]] = MappingProxyType(
    {
        "riggi2024": lambda: {"transforms": (SigmaClip(), ZScale(contrast=0.25), ZScale(contrast=0.40))},
        "minmax": lambda: {"transforms": (MinMax(),)},
        "zscale": lambda: {"transforms": (ZScale(contrast=0.25),)},
        "asinh": lambda: {"transforms": (Asinh(),)},
        "mixed": lambda: {
            "transforms": (
                OneOf(choices=(Power(), Power(), Sinh())),
                MinMax(),
                OneOf(choices=(Log(), Sqrt(), Asinh())),
            )
        },
        "imagenet": lambda: {
            "transforms": (MinMax(),),
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
        },
    }
)
