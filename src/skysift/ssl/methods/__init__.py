"""The methods of self-supervision: one file each, and one line here."""

from typing import Annotated, get_args

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

NAMES = tuple(option.model_fields["name"].default for option in get_args(get_args(AnyMethod)[0]))

__all__ = [
    "BYOL",
    "DINO",
    "MAE",
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
]
