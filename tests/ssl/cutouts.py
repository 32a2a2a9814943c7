"""Packed cutouts that are made in no time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skysift.store import Stage


class ToyPack(Stage):
    """Packed cutouts of three shapes in noise; every seventh is smaller and has no data in two columns."""

    kind: ClassVar[str] = "pack"
    count: int = 40
    seed: int = 0

    def run(self, context: Any) -> dict[str, Any]:
        import pyarrow as pa

        from skysift.cutouts.catalogue import Catalogue, table_of
        from skysift.cutouts.schema import MOSAIC_SCHEMA, cutout_ids

        images = toy_images(self.count, self.seed)
        sizes = np.array([image.shape for image in images])
        windows = np.stack([np.zeros(self.count, int), np.zeros(self.count, int), sizes[:, 1], sizes[:, 0]], axis=1)
        planes = np.arange(self.count)
        columns = {
            "cutout_id": cutout_ids("ab" * 16, 0, planes, windows),
            "mosaic": pa.array(["ab" * 16] * self.count).dictionary_encode(),
            "hdu": np.zeros(self.count, int),
            "plane": planes,
            **dict(zip(("x0", "y0", "width", "height"), windows.T, strict=True)),
        }
        mosaic = {"mosaic": "ab" * 16, "format": "npz", "hdu": 0, "plane": None, "ny": 40, "nx": 40}
        mosaics = MOSAIC_SCHEMA.empty_table().from_pylist([mosaic], schema=MOSAIC_SCHEMA)
        Catalogue(table_of(columns, self.count), mosaics).write(context.folder)
        np.save(context.folder / "pixels.npy", np.concatenate([image.ravel() for image in images]))
        np.save(context.folder / "offsets.npy", np.concatenate([[0], np.cumsum(sizes.prod(axis=1))]))
        return {"rows": self.count}


def toy_images(count: int, seed: int) -> list[np.ndarray]:
    """One, two or three blobs, anywhere, at any angle, with noise of a tenth of their peak."""
    rng = np.random.Generator(np.random.PCG64(seed))
    images = []
    for number in range(count):
        size = 36 if number % 7 == 3 else 40
        y, x = np.mgrid[:size, :size]
        cx, cy = rng.uniform(14, 24, 2)
        angle, width = rng.uniform(0, np.pi), rng.uniform(2.5, 5)
        dx, dy = 7 * np.cos(angle), 7 * np.sin(angle)
        places = [[(0, 0)], [(dx, dy), (-dx, -dy)], [(dx, dy), (-dx, -dy), (-1.2 * dy, 1.2 * dx)]][number % 3]
        shape = sum(np.exp(-((x - cx - px) ** 2 + (y - cy - py) ** 2) / width) for px, py in places)
        image = (rng.uniform(0.5, 2) * (shape + rng.normal(0, 0.1, (size, size)))).astype(np.float32)
        if size == 36:
            image[:, :2] = np.nan
        images.append(image)
    return images
