"""What the gallery computes: cells of the grid, marks, histograms, exports, saved views."""
