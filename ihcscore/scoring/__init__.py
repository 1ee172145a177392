"""The third pass: measured cells to classes, regions and scores. No pixel is read."""
