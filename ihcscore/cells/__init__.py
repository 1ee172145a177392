"""Pixels to measured cells: pure functions over arrays."""
