"""The methods of self-supervision: one file each, and one line here."""

from typing import Annotated, get_args

from pydantic import BeforeValidator, Field

from skysift.ssl.methods.base import Method, by_name
from skysift.ssl.methods.byol import BYOL
from skysift.ssl.methods.simclr import SimCLR

AnyMethod = Annotated[SimCLR | BYOL, Field(discriminator="name"), BeforeValidator(by_name)]
"""Options of any method, told apart by `name`; the bare name stands for the method with its defaults."""

NAMES = tuple(option.model_fields["name"].default for option in get_args(get_args(AnyMethod)[0]))

__all__ = ["BYOL", "NAMES", "AnyMethod", "Method", "SimCLR"]
