"""`skysift active`: what to look at next, after what people said so far."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from skysift.cli.ratings import Json, LedgerOption, OnlyUser, open_ledger
from skysift.cli.registration import DISCOVERY, add
from skysift.cli.running import StoreOption, open_store
from skysift.errors import RequestError


def register(app: App) -> None:
    """Add the command."""
    add(app, show_next, "active", DISCOVERY)


def show_next(
    features: Annotated[str, Parameter(help="Features of the cutouts: an id or a name.")],
    *,
    anomalies: Annotated[str, Parameter(help="Their static ranking: an artifact of `skysift anomalies`.")],
    count: Annotated[int, Parameter(help="How many to show.")] = 50,
    acquisition: Annotated[
        Literal["astronomaly", "expected-improvement"],
        Parameter(help="Random forest (Lochner & Bassett 2021), or Gaussian process (Protege)."),
    ] = "astronomaly",
    explore: Annotated[float, Parameter(help="0: more of what was liked ... 1: unlike all that was rated.")] = 0.25,
    seed: Annotated[int, Parameter(help="Seed of the forests.")] = 0,
    user: OnlyUser = None,
    until: Annotated[int | None, Parameter(help="With the ledger as it was at this version.")] = None,
    json_: Json = False,
    ledger: LedgerOption = None,
    store: StoreOption = None,
) -> None:
    """Learn from the ledger's ratings and print the cutouts to look at next, the best first.

    Nothing is stored: the same ratings, options and seed give the same order, so the line on stderr (with the ledger's
    version) is the model. Without ratings the order is that of the static ranking.

    Examples
    --------
        skysift active 5d01 --anomalies 8e20
        skysift active 5d01 --anomalies 8e20 --acquisition expected-improvement --explore 0.5 --count 100
        skysift active 5d01 --anomalies 8e20 --until 120   # as after 120 rows of the ledger
    """
    import pyarrow.parquet as pq

    from skysift.discovery.active import Learner, lessons
    from skysift.tables.features import FeatureTable

    if count < 1:
        raise RequestError("--count must be at least 1.")
    opened = open_store(store)
    table, ranking = FeatureTable.open(opened.get(features)), opened.get(anomalies)
    if ranking.kind != "anomalies":
        raise RequestError(f"{ranking.kind} {ranking.id[:12]} is no ranking; name what `skysift anomalies` made.")
    scores = pq.read_table(ranking.path("scores.parquet"), columns=["cutout_id", "ensemble"])
    static = dict(zip(scores["cutout_id"].to_pylist(), scores["ensemble"].to_pylist(), strict=True))
    place = pq.read_table(table.catalogue_path, columns=["cutout_id", "ra", "dec"]).to_pylist()
    ids = [row["cutout_id"] for row in place]
    missing = sum(cutout not in static for cutout in ids)
    if missing:
        raise RequestError(
            f"anomalies {ranking.id[:12]}: {missing} of {len(ids)} cutouts are not in it; rank these features first."
        )
    with open_ledger(ledger, store, create=True) as book:
        version = book.version if until is None else until
        taught = lessons(book.current(user=user, until=version), {cutout: row for row, cutout in enumerate(ids)})
    learner = Learner(table.array, [static[cutout] for cutout in ids], seed=seed)
    learner.fit(taught.rows, taught.scores, taught.artefact_rows)
    value, broken = learner.acquisition(acquisition, explore), learner.artefact_probability()
    predicted = learner.predicted(acquisition) if len(taught.rows) else None
    rows: list[dict[str, Any]] = [
        {
            "cutout_id": ids[row],
            "value": round(float(value[row]), 6),
            "predicted": None if predicted is None else round(float(predicted[row]), 2),
            "artefact": round(float(broken[row]), 3),
            "ra": place[row]["ra"],
            "dec": place[row]["dec"],
        }
        for row in learner.order(acquisition, explore)[: min(count, len(ids) - len(learner.rated))]
    ]
    print(
        f"{acquisition}, explore {explore:g}, seed {seed}, ledger at version {version}: {len(taught.rows)} scored, "
        f"{len(taught.artefact_rows)} artefacts, {taught.elsewhere} of other sets",
        file=sys.stderr,
    )
    if json_:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'CUTOUT':<18}{'VALUE':>9}{'SCORE':>7}{'ARTEFACT':>10}{'RA':>11}{'DEC':>11}")
    for row in rows:
        score = "-" if row["predicted"] is None else f"{row['predicted']:.2f}"
        sky = "".join(f"{'-' if row[name] is None else format(row[name], '.5f'):>11}" for name in ("ra", "dec"))
        print(f"{row['cutout_id']:<18}{row['value']:>9.4f}{score:>7}{row['artefact']:>10.3f}{sky}")
