"""Images and their train, validation and test splits; no architectures in it."""

from natrl.data.augmentation import Augmentation
from natrl.data.batching import batches
from natrl.data.images import ImageData
from natrl.data.loading import data_names, load_data

__all__ = ["Augmentation", "ImageData", "batches", "data_names", "load_data"]
