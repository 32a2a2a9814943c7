"""Looking into a store and keeping it in order: ls, show, lineage, verify, name, rm, gc, relink."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from skysift.cli.registration import add
from skysift.cli.running import StoreOption, open_store
from skysift.errors import SkysiftError
from skysift.readable import size, span

if TYPE_CHECKING:
    from skysift.store import Artifact

GROUP = Group("Store", sort_key=3)
Reference = Annotated[str, Parameter(help="An id, the beginning of one, or a name.")]
DAMAGED = "damaged"


def register(app: App) -> None:
    """Add the commands."""
    for function, name in (
        (list_artifacts, "ls"),
        (show, "show"),
        (lineage, "lineage"),
        (verify, "verify"),
        (give_name, "name"),
        (remove, "rm"),
        (collect_garbage, "gc"),
        (relink, "relink"),
    ):
        add(app, function, name, GROUP)


def list_artifacts(
    kind: Annotated[str | None, Parameter(help="Only this kind (cutouts, features ..., damaged).")] = None,
    *,
    json_: Annotated[bool, Parameter(name="--json", help="As JSON.", negative=())] = False,
    store: StoreOption = None,
) -> None:
    """List the artifacts: kind, id, name, rows, size, age.

    Examples
    --------
        skysift ls
        skysift ls cutouts
        skysift ls --kind cutouts --json
    """
    opened = open_store(store)
    names = {i: n for n, i in opened.names().items()}
    entries = [_entry(artifact, names.get(artifact.id)) for artifact in opened.artifacts(damaged=True)]
    found = sorted((e for e in entries if kind in (None, e["kind"])), key=lambda e: float(e["created"]))
    if json_:
        print(json.dumps(found, indent=1))
        return
    if not found:
        there = ", ".join(sorted({entry["kind"] for entry in entries}))
        what, more = ("artifacts", "") if kind is None or not there else (kind, f"; there are {there}")
        print(f"no {what} in {opened.root}{more}", file=sys.stderr)
        return
    now = time.time()
    width = max(20, *(2 + len(entry["name"] or "") for entry in found))
    print(f"{'KIND':<16}{'ID':<14}{'NAME':<{width}}{'ROWS':>12}{'SIZE':>11}{'AGE':>9}")
    for entry in found:
        rows, held = entry["rows"], entry["bytes"]
        print(
            f"{entry['kind']:<16}{entry['id'][:12]:<14}{entry['name'] or '':<{width}}"
            f"{'' if rows is None else f'{rows:,}':>12}{'' if held is None else size(held):>11}"
            f"{span(now - entry['created']):>9}"
        )


def show(
    reference: Reference,
    *,
    json_: Annotated[bool, Parameter(name="--json", help="The manifest as it is.", negative=())] = False,
    store: StoreOption = None,
) -> None:
    """Show what an artifact is: request, inputs, counts, files.

    Examples
    --------
        skysift show 3f2a
        skysift show 3f2a --json
    """
    opened = open_store(store)
    artifact = opened.get(reference)
    if json_:
        print(json.dumps(artifact.manifest, indent=1))
        return
    name = next((n for n, i in opened.names().items() if i == artifact.id), None)
    print(f"{artifact.kind} {artifact.id}" + (f" ({name})" if name else ""))
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(artifact.run["created"]))
    stage = f"{artifact.manifest['stage']} (version {artifact.manifest['version']})"
    print(f"  made {made} in {artifact.run['seconds']:.1f} s by {stage}")
    _section("options", artifact.config)
    _section("counts", artifact.counts)
    _section("inputs", {i[:12]: _kind_of(opened, i) for i in artifact.inputs})
    _section("sources", _sources(artifact))
    for kind, pairs in artifact.manifest["companions"].items():
        _section(f"{kind} of each source", _companions(artifact, kind, pairs))
    _section("files", {n: size(e["bytes"]) for n, e in artifact.manifest["files"].items()})
    for warning in artifact.run["warnings"]:
        print(f"  warning: {warning}")


def lineage(
    reference: Reference,
    *,
    mermaid: Annotated[bool, Parameter(help="As a Mermaid flow chart.", negative=())] = False,
    store: StoreOption = None,
) -> None:
    """Draw what an artifact was made from and what was made from it.

    Examples
    --------
        skysift lineage 3f2a
        skysift lineage 3f2a --mermaid
    """
    from skysift.store import lineage as drawing

    opened = open_store(store)
    print(drawing.mermaid(opened, reference) if mermaid else drawing.tree(opened, reference))


def verify(reference: Reference, *, store: StoreOption = None) -> None:
    """Compare an artifact's files with the digests in its manifest.

    Examples
    --------
        skysift verify 3f2a
    """
    artifact = open_store(store).get(reference)
    problems = artifact.verify()
    if problems:
        raise SkysiftError(f"{artifact.kind} {artifact.id}: {'; '.join(problems)}; remove it and make it again.")
    print(f"{artifact.id} ok: {len(artifact.manifest['files'])} files, {size(artifact.size)}")


def give_name(
    reference: Reference,
    name: str,
    /,
    *,
    force: Annotated[bool, Parameter(help="Take the name from the artifact that has it.", negative=())] = False,
    store: StoreOption = None,
) -> None:
    """Give an artifact a name, which then stands for its id; it has one name at a time.

    Examples
    --------
        skysift name 3f2a emu-pilot
        skysift name 91bc emu-pilot --force
    """
    former = open_store(store).name(reference, name, force=force)
    if former not in (None, name):
        print(f"it was named {former} before", file=sys.stderr)


def remove(
    references: Annotated[tuple[str, ...], Parameter(help="Ids, beginnings of ids, or names.")],
    *,
    force: Annotated[bool, Parameter(help="Even if something was made from it.", negative=())] = False,
    store: StoreOption = None,
) -> None:
    """Remove artifacts.

    Examples
    --------
        skysift rm 3f2a
        skysift rm 3f2a --force
    """
    from skysift.store import upkeep

    opened = open_store(store)
    for reference in references:
        print(upkeep.remove(opened, reference, force=force))


def collect_garbage(
    *,
    dry_run: Annotated[bool, Parameter(help="Only say what would go.", negative=())] = False,
    store: StoreOption = None,
) -> None:
    """Remove abandoned partial work (it could have been carried on with), and logs and locks of what is gone.

    Examples
    --------
        skysift gc --dry-run
    """
    from skysift.store import upkeep

    found = upkeep.collect(open_store(store), dry_run=dry_run)
    for item in found:
        print(f"{item.id}  {item.what:<12}  {size(item.bytes):>9}  {span(item.age):>7}")
    verb = "would be freed" if dry_run else "freed"
    print(f"{size(sum(item.bytes for item in found))} {verb}", file=sys.stderr)


def relink(
    reference: Reference,
    *,
    root: Annotated[Path, Parameter(help="Folder that holds the source files now.")],
    store: StoreOption = None,
) -> None:
    """Find mosaics that moved, by their content.

    Examples
    --------
        skysift relink 3f2a --root /archive/emu
    """
    from skysift.store import upkeep

    for fingerprint, path in sorted(upkeep.relink(open_store(store), reference, root).items()):
        print(f"{fingerprint}  {path}")


def _entry(artifact: Artifact, name: str | None) -> dict[str, Any]:
    """Return what `ls` says about an artifact; of a damaged one that it is, with a warning."""
    entry: dict[str, Any] = {"kind": DAMAGED, "id": artifact.id, "name": name, "rows": None, "bytes": None}
    if artifact.damage is None:
        entry |= {"kind": artifact.kind, "rows": artifact.rows, "bytes": artifact.size}
    else:
        print(f"warning: {artifact.damage}", file=sys.stderr)
    return entry | {"created": artifact.created}


def _section(title: str, entries: dict[str, Any]) -> None:
    if entries:
        print(f"  {title}")
        width = max(len(str(key)) for key in entries)
        for key, value in entries.items():
            print(f"    {key!s:<{width}}  {_short(value)}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _kind_of(store: Any, id_: str) -> str:
    return next((a.kind for a in store.artifacts(damaged=True) if a.id == id_), "(removed)")


def _sources(artifact: Artifact) -> dict[str, str]:
    paths = artifact.run["sources"]
    prints = [f for group in artifact.manifest["sources"].values() for f in group]
    return _first({f[:12]: paths.get(f, "?") for f in prints})


def _companions(artifact: Artifact, kind: str, pairs: list[list[str]]) -> dict[str, str]:
    """Return the paths of the files that lay beside sources, by the beginning of the source's fingerprint."""
    paths = dict(artifact.run.get("companions", {}).get(kind, []))
    return _first({owner[:12]: paths.get(owner, fingerprint) for owner, fingerprint in pairs})


def _first(entries: dict[str, str]) -> dict[str, str]:
    more = {"...": f"{len(entries) - 8} more"} if len(entries) > 8 else {}
    return dict(list(entries.items())[:8]) | more
