"""The package as a whole: lazy names."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import skysift

PACKAGES = ["skysift", *(m.name for m in pkgutil.walk_packages(skysift.__path__, "skysift.") if m.ispkg)]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_lazy_name_is_there_and_no_module_shadows_it(package: str) -> None:
    module = importlib.import_module(package)
    offered = set(getattr(module, "__all__", []))
    assert not offered & {m.name for m in pkgutil.iter_modules(module.__path__)}
    assert all(getattr(module, name) is not None for name in offered)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        module.nonsense  # noqa: B018
