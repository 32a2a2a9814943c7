"""Many points in a plane, shared by map and sky: rasterised, coloured, found under the cursor and inside a lasso."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cloud": ["Cloud"],
        "colouring": ["Category", "Colouring", "Density", "Number", "by_category", "by_column", "by_number"],
        "inside": ["inside_polygon"],
        "picture": ["paint"],
        "raster": ["View"],
    },
)
