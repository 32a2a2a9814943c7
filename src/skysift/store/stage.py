"""The base of everything that makes an artifact."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from skysift.store.digest import canonical_json, hex_digest
from skysift.store.fields import Input, Runtime, Source, as_tuple, markers

if TYPE_CHECKING:
    from skysift.store.context import Context


class Stage(BaseModel):
    """A request for an artifact: a frozen model of options and one method that carries it out.

    A subclass sets `kind` and `version` and writes `run`. The version is raised whenever the output or a default
    changes. The same model is the Python API, the entry in a pipeline's YAML and the command.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=())

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    stops_itself: ClassVar[bool] = False
    """Whether `run` watches `context.should_stop()`; if not, SIGTERM ends it between two instructions."""
    rows_from: ClassVar[str | None] = None
    """The `Input` field whose rows are worked on; the first one where None."""

    @model_validator(mode="before")
    @classmethod
    def _one_as_several(cls, options: Any) -> Any:
        """Take one value where several are asked for (`mosaics="a.fits"`, `levels: 50`)."""
        if not isinstance(options, dict):
            return options
        lists = {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}
        return {k: (v,) if k in lists and isinstance(v, str | int | float | Path) else v for k, v in options.items()}

    def run(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Do the work: leave plain files in `context.folder` and return the counts for the manifest."""
        raise TypeError(f"{type(self).__name__} defines no run()")

    def companions(self, files: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:  # noqa: ARG002
        """Name further files that the request depends on, found from its sources.

        Parameters
        ----------
        files : mapping of str to sequence of str
            The paths of each `Source` field, expanded.

        Returns
        -------
        dict of str to list of (owner, path)
            `owner` is a source's path (it enters the id as that file's fingerprint) or any other string.
        """
        return {}

    def estimate(self, rows_in: int, files: Mapping[str, Sequence[str]]) -> dict[str, float]:  # noqa: ARG002
        """Estimate, from headers and the number of rows that come in, what the request takes.

        Parameters
        ----------
        rows_in : int
            Rows of the inputs that are worked on (`rows_from`), together.
        files : mapping of str to sequence of str
            The paths of each `Source` field, expanded.

        Returns
        -------
        dict of str to float
            Any of `rows`, `disk_bytes`, `memory_bytes`, `seconds`; and `rows_at_most` where `rows` does not follow
            exactly from `rows_in`.
        """
        return {"rows": rows_in}

    def check_rows(self, rows_in: int) -> None:
        """Refuse a number of rows with which the request can't be carried out; a plan asks before any work.

        Parameters
        ----------
        rows_in : int
            As for `estimate`.

        Raises
        ------
        RequestError
            If there are too few.
        """

    @classmethod
    def entries(
        cls,
        name: str,
        options: dict[str, Any],
        *,
        where: str,  # noqa: ARG003
        others: Collection[str],  # noqa: ARG003
    ) -> dict[str, dict[str, Any]]:
        """Return the entries of a pipeline that one entry of this stage stands for: itself, unless it says more.

        Parameters
        ----------
        name : str
            Of the entry.
        options : dict
            What stands below it, without `stage`.
        where : str
            Begins the message of an error.
        others : collection of str
            Names of all entries of the pipeline.

        Returns
        -------
        dict of str to dict
            Options by name, with `stage` where it is another one.
        """
        return {name: options}

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring: the command's help."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]

    def input_ids(self) -> tuple[str, ...]:
        """Return the ids in all `Input` fields, in field order."""
        return tuple(i for name in self._input_fields() for i in as_tuple(getattr(self, name)))

    def row_ids(self) -> tuple[str, ...]:
        """Return the ids of the inputs whose rows are worked on."""
        name = self.rows_from or next(iter(self._input_fields()), None)
        return () if name is None else as_tuple(getattr(self, name))

    @classmethod
    def _input_fields(cls) -> list[str]:
        return [name for name, mark in markers(cls).items() if isinstance(mark, Input)]


def identity(
    stage: Stage,
    fingerprints: Mapping[str, Sequence[str]],
    companions: Mapping[str, Sequence[tuple[str, str]]],
) -> str:
    """Return the id of the artifact that a stage, with its inputs resolved, makes.

    Parameters
    ----------
    stage : Stage
        With full ids in its `Input` fields.
    fingerprints : mapping of str to sequence of str
        Fingerprints of each `Source` field.
    companions : mapping of str to sequence of (str, str)
        Owner's and file's fingerprints of each companion.

    Returns
    -------
    str
        32 hex digits of BLAKE2b over kind, version, the fields that differ from their defaults, input ids and
        fingerprints. Where order does not matter it does not enter.
    """
    found = markers(type(stage))
    special = {name for name, mark in found.items() if isinstance(mark, Source | Runtime)}
    fields = _differing(stage, skip=special)
    for name, mark in found.items():
        value = getattr(stage, name)
        if isinstance(mark, Input) and isinstance(value, tuple | list) and not mark.ordered:
            fields[name] = sorted(value)
    request = {
        "kind": stage.kind,
        "version": stage.version,
        "fields": fields,
        "sources": {
            name: list(prints) if _ordered(found[name]) else sorted(prints) for name, prints in fingerprints.items()
        },
        "companions": {name: sorted([list(pair) for pair in pairs]) for name, pairs in companions.items() if pairs},
    }
    return hex_digest(canonical_json(request).encode())


def full_config(stage: Stage) -> dict[str, Any]:
    """Return every option of a stage that belongs to the request, with paths and runtime matters left out."""
    special = {name for name, mark in markers(type(stage)).items() if isinstance(mark, Source | Runtime)}
    config: dict[str, Any] = stage.model_dump(mode="json", exclude=special)
    return config


def _ordered(mark: object) -> bool:
    return isinstance(mark, Source) and mark.ordered


def _differing(model: BaseModel, skip: set[str] | frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the fields that differ from their defaults, by name; nested options carry their class's name."""
    dumped = model.model_dump(mode="json")
    result: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        if name in skip:
            continue
        value = getattr(model, name)
        if not field.is_required() and value == field.get_default(call_default_factory=True):
            continue
        result[name] = _dump(value, dumped[name])
    return result


def _dump(value: object, dumped: Any) -> Any:
    if isinstance(value, BaseModel):
        return {"": type(value).__name__, **_differing(value)}
    if isinstance(value, list | tuple):
        return [_dump(item, plain) for item, plain in zip(value, dumped, strict=True)]
    return dumped
