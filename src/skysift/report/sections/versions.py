"""With what, where and how long each stage ran."""

from __future__ import annotations

from skysift.readable import size
from skysift.report.blocks import Block, Note, Section, Table
from skysift.report.family import Family


def make(family: Family) -> Section:
    """List package versions and the circumstances of each stage."""
    runs = {id_: artifact.run for id_, artifact in family.members.items() if (artifact.folder / "run.json").is_file()}
    rows = []
    for id_, run in runs.items():
        artifact = family.members[id_]
        rows.append(
            [
                artifact.kind,
                id_,
                f"{run.get('seconds', 0):.1f}",
                str(run.get("workers", "–")),
                str(run.get("device", "–")),
                str(run.get("host", "–")),
                size(artifact.size),
            ]
        )
    header = ["kind", "id", "time [s]", "workers", "device", "host", "size"]
    blocks: list[Block] = [Table(header, rows, "Each stage as it ran.", frozenset({2, 3, 6}))]
    warnings = [
        f"{family.members[id_].kind} {family.title(family.members[id_])}: {text}"
        for id_, run in runs.items()
        for text in run.get("warnings", [])
    ]
    blocks += [Note(text, warning=True) for text in warnings]
    versions: dict[str, set[str]] = {}
    for run in runs.values():
        for name, version in {"Python": run.get("python"), **run.get("packages", {})}.items():
            versions.setdefault(name, set()).add(str(version))
    listed = [[name, ", ".join(sorted(found))] for name, found in versions.items()]
    processors = sorted({str(run["processor"]) for run in runs.values() if run.get("processor")})
    blocks.append(Table(["package", "version"], listed, "Processor: " + (", ".join(processors) or "unknown")))
    return Section("versions", "Versions", blocks)
