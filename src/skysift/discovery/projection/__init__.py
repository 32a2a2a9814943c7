"""Features on a plane, by UMAP or principal components, with a place for new cutouts."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "components": ["PrincipalComponents"],
        "projection": ["Projection"],
        "stage": ["Project"],
    },
)
