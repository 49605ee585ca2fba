"""Files and folders: paths made absolute, whole or not at all, held by one process."""
