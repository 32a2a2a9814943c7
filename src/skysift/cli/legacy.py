"""Option names of the pipeline that skysift replaces, understood as ours."""

from __future__ import annotations

RENAMED: dict[str, dict[str, str]] = {
    "cutouts": {"--mosaics-path": "--mosaics"},
    "merge": {"--cutouts-ids": "--catalogues", "--cutouts-id": "--catalogues"},
    "pack": {"--cutouts-ids": "--cutouts", "--merge-id": "--cutouts", "--merged-cutouts-id": "--cutouts"},
    "features": {"--cutouts-ids": "--cutouts", "--merge-id": "--cutouts", "--merged-cutouts-id": "--cutouts"},
    "cluster": {"--features-id": "--features", "--config-path": "--config"},
    "subsample": {"--clusters-id": "--clusters", "--config-path": "--config"},
    "train": {"--subsample-id": "--cutouts", "--cutouts-ids": "--cutouts", "--config-path": "--config"},
    "evaluate": {"--model-id": "--model", "--config-path": "--config"},
}


def modernise(tokens: list[str]) -> list[str]:
    """Write underscores in option names as dashes, and the old names as the new ones.

    Examples
    --------
    >>> modernise(["cutouts", "--mosaics_path", "survey", "--window_size=128"])
    ['cutouts', '--mosaics', 'survey', '--window-size=128']
    """
    renamed = RENAMED.get(tokens[0], {}) if tokens else {}
    modern: list[str] = []
    for position, word in enumerate(tokens):
        if word == "--":
            return modern + tokens[position:]
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = name.replace("_", "-")
            word = renamed.get(name, name) + equals + value
        modern.append(word)
    return modern
