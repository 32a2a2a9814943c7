"""What the map of features shows beside its points: principal components, contours of density, clusters."""
