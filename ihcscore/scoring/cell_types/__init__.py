"""Which cells are tumor: by regions, by a classifier that a few labels train, by a rule."""
