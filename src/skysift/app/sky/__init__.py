"""What the sky screen draws beside its points: projections, a graticule, outlines of mosaics, Aladin Lite."""
