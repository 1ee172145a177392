"""The second pass over a slide: its tiles, who measures them, how they are stitched."""
