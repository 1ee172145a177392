"""Pixels to nuclei."""
