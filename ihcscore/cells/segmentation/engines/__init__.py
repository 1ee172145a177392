"""Segmenters made elsewhere, whose packages and models the user brings: extra ``engines``."""
