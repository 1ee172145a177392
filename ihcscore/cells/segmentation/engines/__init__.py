"""Adapters to segmenters of other packages, whose models the user provides: extra ``engines``."""
