"""Slides as pyramids of pixels, whatever file they are in."""
