"""The methods of self-supervision: one file each, and one line here."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from skysift.ssl.methods.all4one import All4One
from skysift.ssl.methods.barlow import BarlowTwins
from skysift.ssl.methods.base import Method, by_name
from skysift.ssl.methods.byol import BYOL
from skysift.ssl.methods.dino import DINO
from skysift.ssl.methods.mae import MAE
from skysift.ssl.methods.mocov3 import MoCoV3
from skysift.ssl.methods.nnclr import NNCLR
from skysift.ssl.methods.simclr import SimCLR
from skysift.ssl.methods.simsiam import SimSiam
from skysift.ssl.methods.swav import SwAV
from skysift.ssl.methods.vicreg import VICReg
from skysift.ssl.methods.wmse import WMSE

AnyMethod = Annotated[
    SimCLR | BYOL | All4One | NNCLR | MoCoV3 | SwAV | DINO | BarlowTwins | VICReg | WMSE | SimSiam | MAE,
    Field(discriminator="name"),
    BeforeValidator(by_name),
]
"""Options of any method, told apart by `name`; the bare name stands for the method with its defaults."""

METHODS: dict[str, type[Method]] = {
    option.model_fields["name"].default: option for option in get_args(get_args(AnyMethod)[0])
}
NAMES = tuple(METHODS)


def training(method: Any) -> Mapping[str, Any]:
    """Return the options of `Train` that suit a method, which may be given in any way that `AnyMethod` takes."""
    given = by_name(method)
    name = given.get("name") if isinstance(given, Mapping) else getattr(given, "name", None)
    return METHODS[name].training if isinstance(name, str) and name in METHODS else {}


__all__ = [
    "BYOL",
    "DINO",
    "MAE",
    "METHODS",
    "NAMES",
    "NNCLR",
    "WMSE",
    "All4One",
    "AnyMethod",
    "BarlowTwins",
    "Method",
    "MoCoV3",
    "SimCLR",
    "SimSiam",
    "SwAV",
    "VICReg",
    "training",
]
