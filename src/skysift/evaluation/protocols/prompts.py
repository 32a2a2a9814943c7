"""What to say of classes of radio sources to a model that knows images by their captions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from skysift.errors import RequestError

__all__ = ["DESCRIPTIONS", "TEMPLATES", "class_texts"]

TEMPLATES = (
    "a radio image of {}.",
    "a radio telescope image of {}.",
    "a radio continuum map of {}.",
    "an astronomical image of {} at radio wavelengths.",
    "a black and white picture of {}.",
)

DESCRIPTIONS: dict[str, tuple[str, ...]] = {
    "fri": (
        "an FR-I radio galaxy",
        "a Fanaroff-Riley class I radio galaxy with jets that fade away from a bright core",
        "a radio galaxy that is brightest in the middle, with diffuse plumes",
    ),
    "frii": (
        "an FR-II radio galaxy",
        "a Fanaroff-Riley class II radio galaxy with two bright hotspots at the ends of its lobes",
        "a radio galaxy that is brightest at its two ends",
    ),
    "hybrid": (
        "a hybrid radio galaxy",
        "a radio galaxy with one lobe like an FR-I and the other like an FR-II",
    ),
    "bent": (
        "a bent-tail radio galaxy",
        "a radio galaxy whose two jets bend to the same side, like a letter U or V",
    ),
    "compact": ("a compact radio source", "a point-like source, a single small bright dot"),
    "extended": ("an extended radio source", "a resolved source, much larger than a point"),
    "radiogalaxy": ("a radio galaxy", "a radio galaxy with a core, jets and lobes"),
    "diffuse": ("a small diffuse radio source", "a faint, round, blurred patch of emission"),
    "diffuselarge": ("large-scale diffuse radio emission", "a large irregular cloud of faint emission"),
    "filament": ("a radio filament", "a long thin thread of emission"),
    "artefact": ("an imaging artefact", "rings and rays around a very bright source"),
    "background": ("empty sky", "nothing but noise"),
    "peculiar": ("a peculiar radio source", "a source of a strange, unusual shape"),
    "ring": ("a ring-shaped radio source", "an odd radio circle, a faint ring of emission"),
    "1c1p": ("a radio source of one component with one peak", "one round blob"),
    "1c2p": ("a radio source of one component with two peaks", "one elongated blob with two bright spots"),
    "1c3p": ("a radio source of one component with three peaks", "one long blob with three bright spots"),
    "2c2p": ("a radio source of two components with two peaks", "two separate blobs"),
    "2c3p": ("a radio source of two components with three peaks", "two separate blobs, one with two bright spots"),
    "3c3p": ("a radio source of three components with three peaks", "three separate blobs in a row"),
}
"""Name of a class without anything but letters and digits -> descriptions."""

SAME = {"fr1": "fri", "fr2": "frii", "fr0": "compact", "artifact": "artefact", "wat": "bent", "nat": "bent"}
SAME |= {"headtail": "bent", "orc": "ring", "hyb": "hybrid", "point": "compact"}
"""Other names of these classes."""


def class_texts(
    names: Sequence[str], templates: Sequence[str] = TEMPLATES, prompts: Sequence[str] = ()
) -> tuple[list[list[str]], list[str]]:
    """Write the texts that stand for each class.

    Parameters
    ----------
    names : sequence of str
        Classes.
    templates : sequence of str
        Sentences with `{}` for a description.
    prompts : sequence of str
        `CLASS=DESCRIPTION|DESCRIPTION`, in place of the descriptions known here.

    Returns
    -------
    texts : list of list of str
        Every template with every description, class by class.
    unknown : list of str
        Classes that nothing is known of but the name.

    Raises
    ------
    RequestError
        If a template has no place for the description, a prompt names no class, or a class is a bare number.
    """
    for template in templates:
        if template.count("{}") != 1:
            raise RequestError(f"zeroshot.templates: {template!r} needs one {{}} where the description goes.")
    given: dict[str, tuple[str, ...]] = {}
    for prompt in prompts:
        name, _, rest = (part.strip() for part in prompt.partition("="))
        given[name] = tuple(text.strip() for text in rest.split("|") if text.strip())
        if name not in names or not given[name]:
            raise RequestError(
                f"zeroshot.prompts: {prompt!r} is not CLASS=DESCRIPTION|DESCRIPTION with one of {', '.join(names)}."
            )
    texts, unknown = [], []
    for name in names:
        key = re.sub(r"[^a-z0-9]", "", name.lower())
        known = given.get(name) or DESCRIPTIONS.get(SAME.get(key, key))
        if known is None and not re.search(r"[a-z]", key):
            raise RequestError(
                f"The class {name!r} says nothing in words: describe every such class with zeroshot.prompts, as in "
                f"--set 'zeroshot.prompts=[{name}=DESCRIPTION]', or give the classes names (--classes NAME={name})."
            )
        if known is None:
            unknown.append(name)
            known = (re.sub(r"[_-]+", " ", name).strip().lower(),)
        texts.append([template.replace("{}", text) for text in known for template in templates])
    return texts, unknown
