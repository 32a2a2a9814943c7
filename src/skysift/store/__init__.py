"""Artifacts: their ids, manifests, lineage and locks, and the `Stage` base that makes them."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "artifact": ["Artifact"],
        "context": ["Context"],
        "fields": ["Input", "Runtime", "Source"],
        "lineage": ["ancestors", "descendants", "mermaid", "tree"],
        "stage": ["Stage"],
        "store": ["Store"],
    },
)
