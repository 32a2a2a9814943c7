"""Preprocessing for those who do not run skysift: as data, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skysift.encoders.encoder import Encoder
    from skysift.imaging import Preprocess

FILE = "preprocess.json"
STRETCHES = {
    "power": "x^{power:g}",
    "power_dist": "({a:g}^x - 1) / ({a:g} - 1)",
    "sinh": "sinh(x / {a:.4g}) / sinh(1 / {a:.4g})",
    "log": "log({a:g} x + 1) / log({a:g} + 1)",
    "sqrt": "sqrt(x)",
    "asinh": "asinh(x / {a:g}) / asinh(1 / {a:g})",
}


def describe_preprocessing(encoder: Encoder) -> dict[str, Any]:
    """Return what `preprocess.json` holds: from the pixels of a cutout to what the network takes."""
    about = encoder.description
    return {
        "input": {"channels": about.channels, "height": about.image_size, "width": about.image_size},
        "steps": preprocessing_in_words(about.preprocess),
        "options": about.preprocess.model_dump(mode="json"),
        "normalise": {
            "mean": list(about.mean) if about.mean is not None else None,
            "std": list(about.std) if about.std is not None else None,
            "in_onnx": True,
            "in_weights": False,
        },
    }


def preprocessing_in_words(spec: Preprocess) -> list[str]:
    """Say what becomes of a cutout, a sentence a step."""
    nothing = "NaN and infinite pixels" + (" and exact zeros" if spec.zero_is_invalid else "")
    steps = [f"{nothing} are no data and count in no step."]
    channels = [_transform(spec.channel(number).model_dump()) for number in range(spec.channels)]
    if len(set(channels)) == 1:
        steps.append(f"{'Each of the channels' if spec.channels > 1 else 'The one channel'}: {channels[0]}.")
    else:
        steps += [f"Channel {number}: {text}." for number, text in enumerate(channels, start=1)]
    steps += [
        "Each channel is scaled to [0, 1] by its least and greatest value.",
        f"It is resized to {spec.size} x {spec.size} pixels, bilinear with antialiasing; no data weigh nothing.",
        f"Pixels without data become {'0' if spec.fill == 'zero' else 'the median'}.",
    ]
    return steps


def _transform(options: dict[str, Any]) -> str:
    name = options["name"]
    if name == "sigma_clip":
        return (
            f"values are clamped to {options['low']:g} standard deviations below and {options['high']:g} above the "
            f"median, clipped until nothing changes or {options['iterations']} times (astropy's sigma_clip)"
        )
    if name == "zscale":
        return f"values are clamped to zscale's limits at contrast {options['contrast']:g} (astropy's ZScaleInterval)"
    if name == "minmax":
        return "values stay as they are"
    if name == "one_of":
        texts = list(dict.fromkeys(_stretch(choice) for choice in options["choices"]))
        return f"values x, scaled to [0, 1], become one of {', '.join(texts)}; in training by chance, else the first"
    return f"values x, scaled to [0, 1], become {_stretch(options)}"


def _stretch(options: dict[str, Any]) -> str:
    return STRETCHES[options["name"]].format(**options)
