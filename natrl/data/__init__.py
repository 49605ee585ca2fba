"""Images and their train, validation and test splits; no architectures in it."""

from natrl.data.augmentation import Augmentation
from natrl.data.batching import batches
from natrl.data.examples import Examples, ImageData
from natrl.data.loading import DATA, load_data

__all__ = ["DATA", "Augmentation", "Examples", "ImageData", "batches", "load_data"]
