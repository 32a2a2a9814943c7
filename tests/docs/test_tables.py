"""Tables of the documentation against what they describe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skysift.datasets.names import KNOWN, LABEL_MAPS
from skysift.encoders.backbones import timm_library
from skysift.encoders.processors import USUAL

DOCS = Path(__file__).resolve().parents[2] / "docs"


def table(page: str, header: str) -> list[list[str]]:
    """Cells of the table that starts with a column of that name."""
    lines = iter((DOCS / page).read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {header} |"):
            next(lines)
            return [[cell.strip() for cell in row.split("|")[1:-1]] for row in iter(lambda: next(lines, ""), "")]
    raise AssertionError(f"{page} has no table of {header}")


def test_labelled_sets() -> None:
    named = {name: row for row in table("labelled-sets.md", "name") for name in re.findall(r"`([^`]+)`", row[0])}
    assert set(named) == set(KNOWN)
    for name, row in named.items():
        for place in (p for p in re.findall(r"`([^`]+)`", row[3]) if p != "info.json"):
            siblings = [known.folders for other, known in KNOWN.items() if named[other] is row]
            assert any(place in folders or place == name for folders in siblings), (name, place)
    text = (DOCS / "labelled-sets.md").read_text()
    assert all(f"`{name}`" in text for name in LABEL_MAPS)


@pytest.mark.parametrize("row", table("web-encoders.md", "encoder"), ids=lambda row: row[0])
def test_web_encoders(row: list[str]) -> None:
    timm = timm_library()
    config = timm.models.get_pretrained_cfg(row[1].strip("`").removeprefix("timm:"), allow_unregistered=False)
    mean = {"ImageNet": USUAL["dinov2"], "OpenAI": USUAL["clip"], "0.5": ((0.5,) * 3,) * 2}[row[3]]
    assert config.hf_hub_id
    assert (str(config.input_size[1]), (config.mean, config.std), config.license) == (row[2], mean, row[4])
