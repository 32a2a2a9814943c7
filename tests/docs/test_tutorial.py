"""The notebook of the documentation runs from its first cell to its last."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from skysift.store import Store
from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
CLASSES = 6


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_committed_clean(notebook: Any) -> None:
    """No outputs, no counts, no paths of a machine; a valid notebook whose cells have ids."""
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in notebook.cells]
    assert len(set(ids)) == len(ids) > 20
    for cell in notebook.cells:
        assert not re.search(r"(?<![\w.:/])/(home|tmp|root|Users|work)\b", cell.source), cell["id"]
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own machinery; the kernel has its own filters
def test_runs_to_a_score(notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # the interpreter of the tests, whatever kernels are installed
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client = NotebookClient(notebook, km=manager, timeout=540, resources={"metadata": {"path": str(tmp_path)}})
    done = client.execute()
    errors = [out for cell in done.cells for out in cell.get("outputs", []) if out["output_type"] == "error"]
    assert errors == []

    outputs = {cell["id"]: cell.outputs for cell in done.cells if cell.cell_type == "code"}
    for shown in ("cutouts", "features", "cluster", "train", "evaluate"):
        assert any("<table>" in out.get("data", {}).get("text/html", "") for out in outputs[shown]), shown
    for drawn in ("mosaic", "pixels", "balance", "sheet", "confusion"):
        assert any("image/png" in out.get("data", {}) for out in outputs[drawn]), drawn

    store = Store(tmp_path / "tutorial" / "store")
    model = store.get("my-encoder")
    scores = [artifact for artifact in store.artifacts() if artifact.kind == "evaluation"]
    assert len(scores) == 2
    # guessing gives a sixth; an untrained network half
    for artifact in scores:
        assert 1.5 / CLASSES < artifact.counts["linear_accuracy"] <= 1
    assert any(model.id in _ancestors(store, artifact.id) for artifact in scores)
    assert (tmp_path / "tutorial" / "report.html").stat().st_size > 100_000


def _ancestors(store: Store, id_: str) -> set[str]:
    from skysift.store import ancestors

    return set(ancestors(store, id_))
