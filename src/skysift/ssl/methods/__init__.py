"""The methods of self-supervision: one file each, and one line here."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from skysift.ssl.methods.base import Method, by_name
from skysift.ssl.methods.byol import BYOL
from skysift.ssl.methods.simclr import SimCLR

AnyMethod = Annotated[SimCLR | BYOL, Field(discriminator="name"), BeforeValidator(by_name)]
"""Options of any method, told apart by `name`; the bare name stands for the method with its defaults."""

__all__ = ["BYOL", "AnyMethod", "Method", "SimCLR"]
