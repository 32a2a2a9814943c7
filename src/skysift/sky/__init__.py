"""The sky: mosaics, their geometry, windows, islands, source lists, footprints and the simulator."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "beam": ["beam_area_pixels"],
        "footprint": [
            "cutout_footprint",
            "footprint_area",
            "healpix_counts",
            "mosaic_footprint",
            "save_footprint",
            "union_footprint",
        ],
        "info": ["MosaicInfo"],
        "islands": ["Islands", "count_components_peaks", "find_islands"],
        "masks": ["as_mask", "find_mask", "open_mask"],
        "mosaic": ["Mosaic", "inspect_mosaic", "open_mosaic"],
        "sources": ["LocatedSources", "locate_sources", "read_sources"],
        "wcs": ["healpix29", "icrs_to_pixel", "pixel_to_icrs"],
        "windows": ["sliding_windows", "source_windows"],
    },
)
