"""Curation: the tree of clusters, quotas, and why a cutout is kept."""
