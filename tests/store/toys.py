"""Small stages for the tests of the store, in a module of their own so that worker processes can import them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from skysift.store import Input, Runtime, Source, Stage


class Plain(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: Literal["plain"] = "plain"
    power: int = 1


class Fancy(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: Literal["fancy"] = "fancy"
    power: int = 1


def write_square(
    task: int, out: Path, *, pause: float = 0.0, marks: str | None = None, die_once: str | None = None
) -> None:
    """Write the square of a number; leave a mark for each call; die on the first call where asked."""
    if marks is not None:
        with Path(marks).open("a") as stream:
            stream.write(f"{task}\n")
    if die_once is not None and task == 5:
        flag = Path(die_once)
        if not flag.exists():
            flag.write_text("dead")
            os._exit(1)
    time.sleep(pause)
    out.write_text(f"{task * task}\n")


class Squares(Stage):
    """Write squares of numbers, one shard each.

    Longer text.
    """

    kind: ClassVar[str] = "squares"
    version: ClassVar[int] = 3

    files: Annotated[tuple[str, ...], Source(suffixes=(".txt",))] = Field((), description="Text files.")
    count: int = Field(8, gt=0, description="How many squares.")
    option: Plain | Fancy = Field(Plain(), discriminator="name", description="A variant.")
    masks: str | None = Field(None, description="Pattern of companions.")
    pause: Annotated[float, Runtime()] = Field(0.0, description="Seconds a shard.")
    marks: Annotated[str | None, Runtime()] = Field(None, description="File that counts calls.")
    die_once: Annotated[str | None, Runtime()] = Field(None, description="File that tells whether a worker died.")

    def companions(self, files: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:
        if self.masks is None:
            return {}
        return {"masks": [(path, self.masks.format(stem=Path(path).stem)) for path in files["files"]]}

    def run(self, context: Any) -> dict[str, Any]:
        work = partial(write_square, pause=self.pause, marks=self.marks, die_once=self.die_once)
        shards = context.sharded(work, range(self.count), label="squares", suffix=".txt")
        (context.folder / "squares.txt").write_text("".join(path.read_text() for path in shards))
        return {"rows": self.count}


class Total(Stage):
    """Add up squares."""

    kind: ClassVar[str] = "total"
    version: ClassVar[int] = 1

    squares: Annotated[tuple[str, ...], Input("squares")] = Field(description="Squares artifacts.")
    offset: int = 0

    def run(self, context: Any) -> dict[str, Any]:
        lines = [line for i in self.squares for line in context.input(i).path("squares.txt").read_text().split()]
        (context.folder / "total.txt").write_text(str(sum(map(int, lines)) + self.offset))
        return {"rows": 1}
