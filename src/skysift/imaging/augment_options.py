"""What augmentation does, as data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from skysift.errors import RequestError

Probability = float


class Augment(BaseModel):
    """Random changes of an image, in this order: crop and turn, gamma, jitter, flip, rotate, blur, threshold.

    The presets follow Riggi et al. 2024 (arXiv:2404.18462, section 3.3; `hulk`, and `banner`, which leaves out the
    thresholding) and Cecconello et al. 2024 (arXiv:2411.14078; `cecconello2024`). `radio` is ours: sources have no
    preferred direction and no preferred size or brightness, so views are turned by any angle, zoomed and stretched.
    `geometric` crops, flips and turns as `banner` does and leaves brightness alone, for methods that paint pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset_name: str = Field("custom", description="The preset it came from.")
    crop: tuple[float, float] | None = Field(None, description="Least and largest side of the crop, as a share.")
    crop_is_area: bool = Field(False, description="The shares are of the area, not of the side.")
    angle_probability: float = Field(
        0.0, ge=0, le=1, description="How often the crop is turned by any angle; what lies outside has no data."
    )
    gamma: tuple[float, float] | None = Field(
        None, description="Least and largest power that values are raised to, drawn evenly in its logarithm."
    )
    jitter_probability: float = Field(0.0, ge=0, le=1, description="How often colours are jittered.")
    jitter_strength: float = Field(1.0, ge=0, description="Factor on the next four.")
    brightness: float = Field(0.0, ge=0, description="Brightness factor is drawn from 1 -+ this.")
    contrast: float = Field(0.0, ge=0, description="Contrast factor likewise.")
    saturation: float = Field(0.0, ge=0, description="Saturation factor likewise; three channels only.")
    hue: float = Field(0.0, ge=0, le=0.5, description="Hue is turned by at most this; three channels only.")
    flip_horizontal: float = Field(0.0, ge=0, le=1, description="How often left and right are exchanged.")
    flip_vertical: float = Field(0.0, ge=0, le=1, description="How often top and bottom are exchanged.")
    flips_exclude_each_other: bool = Field(True, description="At most one of the two flips.")
    rotate_probability: float = Field(0.0, ge=0, le=1, description="How often it is turned by 90, 180 or 270 degrees.")
    blur_probability: float = Field(0.0, ge=0, le=1, description="How often it is blurred.")
    blur_sigma: tuple[float, float] = Field((1.0, 3.0), description="Scatter of the Gaussian [pixel].")
    threshold_probability: float = Field(0.0, ge=0, le=1, description="How often faint pixels are set to zero.")
    threshold_percentile: tuple[float, float] = Field(
        (40.0, 60.0), description="Percentile of a channel's valid pixels below which they are set to zero."
    )

    @classmethod
    def preset(cls, name: str, /, **overrides: Any) -> Self:
        """Return a preset (`hulk`, `banner`, `cecconello2024`, `geometric`, `radio`, `none`) with some fields replaced.

        Raises
        ------
        RequestError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise RequestError(f"There is no augmentation {name!r}; there are {', '.join(PRESETS)}.")
        return cls(**{"preset_name": name, **PRESETS[name], **overrides})

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if self.crop is not None and not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"crop {self.crop} must be two shares, the smaller first, in (0, 1]")
        if self.angle_probability and self.crop is None:
            raise ValueError("angle_probability turns the crop: give one, (1, 1) for the whole image")
        if self.gamma is not None and not 0 < self.gamma[0] <= self.gamma[1]:
            raise ValueError(f"gamma {self.gamma} must be two positive numbers, the smaller first")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ValueError(f"blur_sigma {self.blur_sigma} must be two positive numbers, the smaller first")
        low, high = self.threshold_percentile
        if not 0 <= low <= high <= 100:
            raise ValueError(f"threshold_percentile {low, high} must be two percentiles, the smaller first")
        if self.flips_exclude_each_other and self.flip_horizontal + self.flip_vertical > 1:
            raise ValueError("flip_horizontal and flip_vertical exclude each other: their sum must not exceed 1")
        return self


_GEOMETRIC: dict[str, Any] = {
    "crop": (0.8, 1.0),
    "flip_horizontal": 0.33,
    "flip_vertical": 0.33,
    "rotate_probability": 0.5,
}

_BANNER: dict[str, Any] = {
    **_GEOMETRIC,
    "jitter_probability": 0.8,
    "jitter_strength": 0.5,
    "brightness": 0.8,
    "contrast": 0.8,
    "saturation": 0.8,
    "hue": 0.2,
    "blur_probability": 0.1,
    "blur_sigma": (1.0, 3.0),
}

PRESETS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "hulk": {**_BANNER, "threshold_probability": 0.5},
        "banner": _BANNER,
        "cecconello2024": {
            "crop": (0.65, 1.0),
            "crop_is_area": True,
            "jitter_probability": 0.5,
            "contrast": 0.8,
            "flip_horizontal": 0.5,
            "flip_vertical": 0.5,
            "flips_exclude_each_other": False,
            "blur_probability": 0.25,
            "blur_sigma": (0.1, 2.0),
        },
        "radio": {
            "crop": (0.6, 1.0),
            "angle_probability": 1.0,
            "gamma": (0.6, 1.65),
            "flip_horizontal": 0.5,
            "blur_probability": 0.25,
            "blur_sigma": (0.2, 1.7),
        },
        "geometric": _GEOMETRIC,
        "none": {},
    }
)
