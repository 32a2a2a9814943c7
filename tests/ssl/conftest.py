"""The toy training set."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The module `toy.py` beside this file."""
    spec = importlib.util.spec_from_file_location("ssl_toy", Path(__file__).with_name("toy.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ssl_toy"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pack(toy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Ninety images."""
    return toy.make_pack(tmp_path_factory.mktemp("pack"))
