"""What people think of cutouts: ratings show, add, undo, import, export, agreement."""

from __future__ import annotations

import getpass
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from skysift.cli.registration import DISCOVERY, add, epilogue_of
from skysift.cli.running import StoreOption, open_store
from skysift.errors import RequestError

if TYPE_CHECKING:
    from skysift.discovery.ledger import Ledger

GROUP = Group("Ratings", sort_key=1)
HELP = """Ratings of cutouts by people, in an append-only ledger: nothing is ever deleted, an undo is a further row.

The ledger is a SQLite file in the store, or a PostgreSQL database that many people share.
"""

EXAMPLES = (
    "skysift ratings show --user vera",
    "skysift ratings add 00c0ffee00c0ffee --score 4 --tag ring",
    "skysift ratings export ratings.csv",
)

LedgerOption = Annotated[
    str | None,
    Parameter(
        help="A file, or postgresql://USER@HOST/DATABASE. [default: $SKYSIFT_LEDGER, else STORE/ledger.sqlite]",
    ),
]
UserOption = Annotated[str | None, Parameter(help="Who says it. [default: the login name]")]
OnlyUser = Annotated[str | None, Parameter(help="Only ratings by this user.")]
Json = Annotated[bool, Parameter(name="--json", help="As JSON.", negative=())]


def register(app: App) -> None:
    """Add the commands."""
    ratings = App(name="ratings", help=HELP, help_epilogue=epilogue_of(EXAMPLES), group=DISCOVERY)
    for function, name in (
        (show, "show"),
        (add_rating, "add"),
        (undo, "undo"),
        (import_file, "import"),
        (export_file, "export"),
        (agreement, "agreement"),
    ):
        add(ratings, function, name, GROUP)
    app.command(ratings)


def open_ledger(ledger: str | None, store: str | None, *, create: bool) -> Ledger:
    """Open the ledger that options and environment name."""
    from skysift.discovery.ledger import Ledger, default_ledger

    if ledger is None and not os.environ.get("SKYSIFT_LEDGER") and create:
        open_store(store).root.mkdir(parents=True, exist_ok=True)
    return Ledger.open(default_ledger(open_store(store).root) if ledger is None else ledger, create=create)


def show(
    cutout: Annotated[str | None, Parameter(help="Only of this cutout.")] = None,
    *,
    user: OnlyUser = None,
    history: Annotated[bool, Parameter(help="All rows in their order, those taken back too.", negative=())] = False,
    json_: Json = False,
    ledger: LedgerOption = None,
    store: StoreOption = None,
) -> None:
    """Show what people think of cutouts now, or all they ever said.

    Examples
    --------
        skysift ratings show
        skysift ratings show 00c0ffee00c0ffee --history
        skysift ratings show --user vera --json
    """
    with open_ledger(ledger, store, create=False) as opened:
        if history:
            table = opened.ratings(cutout_ids=None if cutout is None else [cutout], user=user, undone=True)
        else:
            table = opened.current(user=user, cutout_ids=None if cutout is None else [cutout])
    rows = [{**row, "time": _time(row["time"])} for row in table.to_pylist()]
    if json_:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not rows:
        print("no ratings", file=sys.stderr)
        return
    width = max(len("USER"), *(len(row["user"]) for row in rows))
    print(f"{'CUTOUT':<18}{'USER':<{width + 2}}{'JUDGEMENT':<13}{'SCORE':>5}  {'TIME (UTC)':<21}TAGS, COMMENT")
    for row in rows:
        said = "  ".join(filter(None, [",".join(row["tags"]), row["comment"], _note(row)]))
        score = "" if row["score"] is None else row["score"]
        print(
            f"{row['cutout_id']:<18}{row['user']:<{width + 2}}{row['judgement'] or '':<13}{score!s:>5}  "
            f"{row['time'][:19].replace('T', ' '):<21}{said}".rstrip()
        )


def add_rating(
    cutout: Annotated[str, Parameter(help="The cutout's id, 16 hex digits.")],
    *,
    score: Annotated[int | None, Parameter(help="0 (dull) to 5 (most interesting).")] = None,
    judgement: Annotated[
        Literal["interesting", "artefact", "boring"] | None, Parameter(help="What it is to this user.")
    ] = None,
    tag: Annotated[
        tuple[str, ...], Parameter(help="A class of the user's own, added to those before; =-ring takes ring away.")
    ] = (),
    comment: Annotated[str, Parameter(help="Free text.")] = "",
    user: UserOption = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
) -> None:
    """Rate a cutout; print the rating's id.

    Examples
    --------
        skysift ratings add 00c0ffee00c0ffee --score 4 --tag ring --comment 'faint, complete'
        skysift ratings add 00c0ffee00c0ffee --judgement artefact --user vera
        skysift ratings add 00c0ffee00c0ffee --tag=-ring
    """
    from skysift.discovery.ledger.rating import checked

    tags = [part for given in tag for part in given.split(",")]
    given = {"score": score, "judgement": judgement, "tags": tags, "comment": comment}
    rating = checked({"cutout_id": cutout, "user": _user(user), **given})
    with open_ledger(ledger, store, create=True) as opened:
        opened.add(rating)
    print(rating.rating_id)


def undo(*, user: UserOption = None, ledger: LedgerOption = None, store: StoreOption = None) -> None:
    """Take back a user's last rating (or all those given at once); print the cutouts.

    Examples
    --------
        skysift ratings undo --user vera
    """
    with open_ledger(ledger, store, create=False) as opened:
        undone = opened.undo_action(_user(user))
    for rating in undone:
        print(rating.cutout_id)
    if not undone:
        print(f"nothing to take back by {_user(user)}", file=sys.stderr)


def import_file(
    file: Annotated[Path, Parameter(help="CSV, Parquet or VOTable (.vot, .votable, .xml).")],
    *,
    user: Annotated[str | None, Parameter(help="Who said it, where the file has no column user.")] = None,
    time: Annotated[str | None, Parameter(help="When, where it has no column time: 2026-01-31T12:00:00Z.")] = None,
    ledger: LedgerOption = None,
    store: StoreOption = None,
) -> None:
    """Add the ratings of a file, all or none; what is there already is left out.

    Examples
    --------
        skysift ratings import colleague.csv
        skysift ratings import scores.vot --user vera --time 2026-01-31T12:00:00Z
    """
    from skysift.discovery.ledger import import_ratings

    with open_ledger(ledger, store, create=True) as opened:
        read, new = import_ratings(opened, file, user=user, time=None if time is None else _moment(time))
    print(f"{new} new of {read} ratings", file=sys.stderr)


def export_file(
    file: Annotated[Path, Parameter(help="Ends in .csv, .parquet, .vot, .votable or .xml.")],
    *,
    ledger: LedgerOption = None,
    store: StoreOption = None,
) -> None:
    """Write all rows of the ledger to a file; importing it elsewhere gives the same ledger.

    Examples
    --------
        skysift ratings export ratings.csv
        skysift ratings export ratings.vot --ledger postgresql://vera@archive/ratings
    """
    from skysift.discovery.ledger import export_ratings

    with open_ledger(ledger, store, create=False) as opened:
        rows = export_ratings(opened, file)
    print(f"{rows} rows in {file}", file=sys.stderr)


def agreement(
    *,
    of: Annotated[Literal["judgement", "score"], Parameter(help="On which of the two.")] = "judgement",
    weights: Annotated[
        Literal["none", "linear", "quadratic"], Parameter(help="What a difference of scores counts.")
    ] = "none",
    json_: Json = False,
    ledger: LedgerOption = None,
    store: StoreOption = None,
) -> None:
    """Show how far people agree beyond chance: Cohen's kappa of each pair, Fleiss' kappa of all.

    Examples
    --------
        skysift ratings agreement
        skysift ratings agreement --of score --weights quadratic
    """
    from dataclasses import asdict

    from skysift.discovery.ledger import agreement as measure

    with open_ledger(ledger, store, create=False) as opened:
        found = measure(opened.current(), of, weights)
    if json_:
        print(json.dumps(_finite(asdict(found)), indent=1, ensure_ascii=False))
        return
    width = max(12, *(2 + max(len(pair.first), len(pair.second)) for pair in found.pairs)) if found.pairs else 12
    print(f"{'USER':<{width}}{'USER':<{width}}{'CUTOUTS':>8}{'SAME':>8}{'KAPPA':>8}")
    for pair in found.pairs:
        figures = f"{pair.shared:>8}{_figure(pair.same):>8}{_figure(pair.kappa):>8}"
        print(f"{pair.first:<{width}}{pair.second:<{width}}{figures}")
    print(f"{'all (Fleiss)':<{2 * width}}{found.cutouts:>8}{'':>8}{_figure(found.fleiss):>8}")


def _user(given: str | None) -> str:
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise RequestError("The login name is unknown here; say who rates with --user NAME.") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(f"--time {text}: not a time; write 2026-01-31T12:00:00Z.") from None
    if moment.tzinfo is None:
        raise RequestError(f"--time {text}: without a time zone; put Z behind it for UTC.")
    return moment


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _note(row: dict[str, Any]) -> str:
    if row.get("undoes"):
        return f"(takes back {row['undoes'][:8]})"
    return "(taken back)" if row.get("undone") else ""


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:.2f}"


def _finite(value: Any) -> Any:
    """Return numbers that JSON can't hold as null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value != value else value
