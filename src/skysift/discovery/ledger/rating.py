"""One rating: what it may hold, and the id that its content gives it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from skysift.errors import RequestError

__all__ = ["JUDGEMENTS", "Judgement", "Rating", "check_cutout", "check_user", "checked"]

Judgement = Literal["interesting", "artefact", "boring"]
JUDGEMENTS: tuple[str, ...] = get_args(Judgement)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BIDIRECTIONAL = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _plain(value: Any) -> Any:
    """Return a text in Unicode's composed form without spaces around it; refuse what can't be seen or written."""
    if not isinstance(value, str):
        return value
    for character in value:
        hidden = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDIRECTIONAL
        if hidden or ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF:
            raise ValueError(f"holds the character U+{ord(character):04X}, which is not allowed")
    return unicodedata.normalize("NFC", value).strip()


def _list_of_tags(value: Any) -> Any:
    """Return tags without repeats, in their order."""
    if isinstance(value, str):
        raise ValueError("give a list of tags, not one text")
    return tuple(dict.fromkeys(_plain(tag) for tag in value)) if isinstance(value, list | tuple) else value


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


CutoutId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", max_length=16)]
UserName = Annotated[str, BeforeValidator(_plain), Field(min_length=1, max_length=64)]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^-?[^-;,][^;,]*$")]


class Rating(BaseModel):
    """What one person says about one cutout; at least one of judgement, score, tags and comment.

    Attributes
    ----------
    cutout_id : str
        16 hex digits.
    user : str
        At most 64 characters.
    judgement : str, optional
        interesting, artefact or boring.
    score : int, optional
        0 (dull) to 5 (most interesting).
    tags : tuple of str
        The user's own classes, which are added to those given before; `-ring` takes `ring` away again. At most 32 of 64
        characters, without comma and semicolon.
    comment : str
        At most 2000 characters, one line.
    time : datetime
        When, in UTC and to the microsecond; by default now.
    model : str
        Version of the model whose order the user saw.
    undoes : str, optional
        Id of an earlier rating that this row takes back; then nothing else is said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    cutout_id: CutoutId
    user: UserName
    judgement: Judgement | None = None
    score: Annotated[int, Field(ge=0, le=5, strict=True)] | None = None
    tags: Annotated[tuple[Tag, ...], BeforeValidator(_list_of_tags), Field(max_length=32)] = ()
    comment: Annotated[str, BeforeValidator(_plain), Field(max_length=2000)] = ""
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    model: Annotated[str, BeforeValidator(_plain), Field(max_length=200)] = ""
    undoes: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Rating:
        said = self.judgement is not None or self.score is not None or bool(self.tags) or bool(self.comment)
        if self.undoes is None and not said:
            raise ValueError("says nothing: give a judgement, a score, a tag or a comment")
        if self.undoes is not None and said:
            raise ValueError("takes another rating back and says something itself")
        if self.time < _EPOCH:
            raise ValueError("its time lies before 1970")
        return self

    @property
    def microseconds(self) -> int:
        """Its time since 1970 in UTC [microsecond]."""
        since = self.time - _EPOCH
        return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds

    @property
    def rating_id(self) -> str:
        """32 hex digits of BLAKE2 over all it says, so that the same rating is known again wherever it comes from."""
        content = [
            self.cutout_id,
            self.user,
            self.judgement,
            self.score,
            list(self.tags),
            self.comment,
            self.microseconds,
            self.model,
            self.undoes,
        ]
        return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def checked(values: Mapping[str, Any], where: str = "The rating") -> Rating:
    """Return the rating that these values make.

    Raises
    ------
    RequestError
        If it is not one; the first thing that is wrong is said in one sentence, without repeating the input.
    """
    try:
        return Rating.model_validate(dict(values))
    except ValidationError as error:
        raise RequestError(f"{where}: {_reason(error)}.") from None


def check_user(user: str) -> str:
    """Return a user's name as the ledger keeps it.

    Raises
    ------
    RequestError
        If it is empty, too long or holds control characters.
    """
    return checked({"cutout_id": "0" * 16, "user": user, "score": 0}, "The user's name").user


def check_cutout(cutout_id: str) -> str:
    """Return a cutout's id.

    Raises
    ------
    RequestError
        If it is not one.
    """
    return checked({"cutout_id": cutout_id, "user": "x", "score": 0}, "The cutout's id").cutout_id


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        text = {
            "cutout_id": "must be 16 hex digits",
            "undoes": "must be 32 hex digits",
        }.get(place, "must hold no comma, no semicolon and no second minus at its beginning")
    return f"{place}: {text}" if place else text
