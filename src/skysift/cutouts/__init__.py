"""Cutouts: the catalogue, its statistics, merging, packing, and reading pixels."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "catalogue": ["Catalogue"],
        "coarse_graining": ["complexity"],
        "estimate": ["estimate_cutouts"],
        "merging": ["merge", "thin_out"],
        "pixels": ["PixelSource"],
        "schema": ["CATALOGUE_SCHEMA", "MOSAIC_SCHEMA", "cutout_ids"],
        "stages": ["Cutouts", "Merge", "Pack"],
        "statistics": ["Statistics", "measure_blocks", "measure_images"],
    },
)
