"""The first pass over a slide: tissue, background, stain vectors."""
