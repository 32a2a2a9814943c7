"""The package as a whole: lazy names, imports, floors' files."""

from __future__ import annotations

import importlib
import pkgutil
import types

import skysift


def packages() -> list[str]:
    found = pkgutil.walk_packages(skysift.__path__, "skysift.")
    return ["skysift", *(module.name for module in found if module.ispkg)]


def test_every_lazy_name_is_there_and_is_no_module() -> None:
    for package in packages():
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            assert not isinstance(value, types.ModuleType), f"{package}.{name} is a module"
        importlib.reload(module)
