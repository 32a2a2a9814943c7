"""Stage modules stay light: the command line imports them for its help."""

import subprocess
import sys

import pytest

from skysift.encoders.stages import ImportWeights
from skysift.features.stages import Features
from skysift.store.stage import identity


def test_no_heavy_library_is_imported() -> None:
    code = (
        "import sys, skysift.encoders, skysift.features, skysift.tables\n"
        "import skysift.encoders.stages, skysift.features.stages, skysift.features.specification\n"
        "heavy = {'torch', 'numpy', 'timm', 'transformers', 'astropy', 'pyarrow', 'dask', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_golden_ids() -> None:
    """A change here means that what was made before is no longer found: raise `version` and know why."""
    stage = Features(cutouts="0" * 32)
    assert identity(stage, {}, {}) == "ed10cfd62c3b94186bec83c6e4990924"
    assert identity(Features(cutouts="0" * 32, batch_size=3), {}, {}) == identity(stage, {}, {})
    imported = ImportWeights(file="w.pth")
    assert identity(imported, {"file": ["1" * 32]}, {}) == "a910582ea7117915e0bc2bab733e5f33"


@pytest.mark.parametrize("stage", [Features, ImportWeights])
def test_every_field_is_described(stage: type) -> None:
    for name, field in stage.model_fields.items():
        assert field.description, name
    assert stage.summary().endswith(".")
