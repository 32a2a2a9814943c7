"""What a simulated survey is made of: one frozen model, with presets."""

from __future__ import annotations

import difflib
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from skysift.errors import RequestError

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "mosaics": 2,
        "size": 256,
        "pointings": 2,
        "size_scale": 0.45,
        "radio_galaxy_fraction": 0.5,
        "rings": 50.0,
        "shells": 50.0,
        "diffuse": 50.0,
        "filaments": 50.0,
        "peculiar": 50.0,
        "frames_per_class": 3,
        "frame_size": 64,
    },
    "demo": {
        "mosaics": 4,
        "size": 1280,
        "pointings": 3,
        "size_scale": 0.7,
        "radio_galaxy_fraction": 0.4,
        "rings": 6.0,
        "shells": 4.0,
        "diffuse": 6.0,
        "filaments": 4.0,
        "peculiar": 4.0,
        "frames_per_class": 40,
        "frame_size": 96,
    },
    "survey": {},
}


class SurveyConfig(BaseModel):
    """Parameters of a simulated survey.

    Every number that a mosaic depends on is here, so equal configurations give equal bytes. The defaults are those of
    the preset `survey`: four mosaics of 4096 pixels squared as an ASKAP-like array would make them at 1.4 GHz.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(0, ge=0, lt=2**63, description="Seed of everything random.")
    mosaics: int = Field(4, ge=1, le=10_000, description="Number of mosaics.")
    size: int = Field(4096, ge=64, le=32_768, description="Side of a mosaic [pixel].")
    axes: Literal[2, 4] = Field(2, description="FITS axes of a mosaic: 2, or 4 with FREQ and STOKES of length one.")
    pixel_scale: float = Field(2.5, gt=0, le=60, description="Side of a pixel [arcsec].")
    ra: float = Field(52.0, ge=0, lt=360, description="Right ascension of the first mosaic's centre, ICRS [deg].")
    dec: float = Field(-28.0, ge=-85, le=85, description="Declination of the mosaics' centres, ICRS [deg].")
    frequency: float = Field(
        1.4e9, gt=0, description="Observing frequency [Hz]; the number counts are those of 1.4 GHz."
    )
    bandwidth: float = Field(2.88e8, gt=0, description="Bandwidth [Hz].")

    bmaj: float = Field(12.0, gt=0, description="Full width at half maximum of the beam's major axis [arcsec].")
    bmin: float = Field(9.5, gt=0, description="Full width at half maximum of the beam's minor axis [arcsec].")
    bpa: float = Field(25.0, ge=-180, le=180, description="Position angle of the beam, north through east [deg].")

    rms: float = Field(4e-5, gt=0, description="Noise where the mosaic is deepest, one standard deviation [Jy/beam].")
    noise: Literal["smoothed", "natural", "snapshots"] = Field(
        "smoothed",
        description="Correlation of the noise: the autocorrelation of the beam (white noise smoothed with it), the "
        "beam itself (visibility noise, naturally weighted), or the dirty beam of some snapshots of a Y-shaped array.",
    )
    snapshots: int = Field(
        2,
        ge=1,
        le=64,
        description="Snapshots of a Y-shaped array that sample the sky, for noise and gain errors.",
    )
    gain_error: float = Field(
        0.0, ge=0, le=0.5, description="Error of an antenna's complex gain, one standard deviation [fraction]; 0: none."
    )
    pointings: int = Field(4, ge=1, le=20, description="Pointings along each side of a mosaic.")
    primary_beam: float | None = Field(
        None,
        gt=0,
        description="Full width at half power of the primary beam [arcmin]; null: fitted to the mosaic's side.",
    )
    cutoff: float = Field(0.25, gt=0, lt=1, description="Primary-beam response below which a pointing is cut off.")
    border: float = Field(0.04, ge=0, lt=0.4, description="Blank border around the pointings, as a share of the side.")
    seams: float = Field(
        0.1, ge=0, le=5, description="Zero-level steps between mosaicked tiles [rms]; 0 leaves no seam."
    )

    flux_min: float = Field(1e-4, ge=5e-5, le=1, description="Faintest source drawn from the number counts [Jy].")
    flux_max: float = Field(1.0, ge=5e-5, le=1, description="Brightest source drawn from the number counts [Jy].")
    radio_galaxy_fraction: float = Field(
        0.1, ge=0, le=1, description="Share of resolved radio galaxies among sources above radio_galaxy_flux_min."
    )
    radio_galaxy_flux_min: float = Field(2e-3, gt=0, description="Faintest resolved radio galaxy [Jy].")
    radio_galaxy_mix: tuple[float, float, float, float] = Field(
        (0.32, 0.46, 0.12, 0.10), description="Shares of FR-I, FR-II, wide-angle tails and narrow-angle tails."
    )
    size_scale: float = Field(1.0, gt=0, le=10, description="Factor on the angular sizes of all extended sources.")
    rings: float = Field(1.0, ge=0, description="Rings like odd radio circles [per square degree].")
    shells: float = Field(0.6, ge=0, description="Shells like supernova remnants [per square degree].")
    diffuse: float = Field(1.0, ge=0, description="Diffuse patches, small and large [per square degree].")
    filaments: float = Field(0.6, ge=0, description="Filaments [per square degree].")
    peculiar: float = Field(0.5, ge=0, description="Sources of anomalous shape [per square degree].")
    artefact_snr: float = Field(
        400.0, gt=0, description="Signal-to-noise above which a source leaves imaging artefacts."
    )
    artefact_level: float = Field(
        0.006, ge=0, le=0.5, description="Typical artefact amplitude as a share of the source's peak; 0 leaves none."
    )

    frames_per_class: int = Field(200, ge=0, description="Labelled cutouts per class and set; 0 makes none.")
    frame_size: int = Field(128, ge=32, le=1024, description="Side of a labelled cutout [pixel].")

    @classmethod
    def preset(cls, name: str, /, **overrides: Any) -> Self:
        """Return a preset with some fields replaced.

        Parameters
        ----------
        name : {"tiny", "demo", "survey"}
            Two mosaics of 256 pixels squared for tests, four of 1280 for a demonstration, four of 4096 for a survey.
        **overrides
            Any field of this model.

        Raises
        ------
        RequestError
            The preset or a field is unknown.
        pydantic.ValidationError
            A value is out of range.
        """
        if name not in PRESETS:
            raise RequestError(f"unknown simulator preset {name!r}: choose one of {', '.join(sorted(PRESETS))}")
        for field in overrides:
            if field not in cls.model_fields:
                raise RequestError(f"The simulator has no field {field!r}; {_suggest(field, list(cls.model_fields))}")
        return cls(**{**PRESETS[name], **overrides})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bmin > self.bmaj:
            raise ValueError(f"bmin {self.bmin} arcsec is larger than bmaj {self.bmaj} arcsec: exchange them")
        if self.bmin < 2.5 * self.pixel_scale:
            raise ValueError(
                f"bmin {self.bmin} arcsec spans fewer than 2.5 pixels of {self.pixel_scale} arcsec: "
                "make pixel_scale smaller or the beam larger"
            )
        if self.flux_min >= self.flux_max:
            raise ValueError(f"flux_min {self.flux_min} Jy is not below flux_max {self.flux_max} Jy: make it smaller")
        if min(self.radio_galaxy_mix) < 0 or sum(self.radio_galaxy_mix) <= 0:
            raise ValueError("radio_galaxy_mix needs shares of at least 0 with a positive sum: change them")
        if self.size * self.pixel_scale > 20 * 3600:
            raise ValueError("a mosaic is wider than 20 degrees: make size or pixel_scale smaller")
        return self


def _suggest(field: str, known: list[str]) -> str:
    """Name the fields that were meant perhaps: alike, or with a word in common; else all."""
    words = {word for word in field.split("_") if len(word) > 1}
    alike = difflib.get_close_matches(field, known, n=3)
    alike += [name for name in known if name not in alike and (words & set(name.split("_")) or field in name)]
    return f"did you mean {' or '.join(alike[:5])}?" if alike else f"it has {', '.join(known)}."
