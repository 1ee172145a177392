"""Scores: pure arithmetic on counts. Nothing here sees an image."""
