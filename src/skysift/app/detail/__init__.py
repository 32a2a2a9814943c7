"""What the detail screen computes: geometry, the figure, the surroundings, links and FITS files of one cutout."""
