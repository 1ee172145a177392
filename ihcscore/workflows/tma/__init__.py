"""Tissue microarrays (TMA): their cores, and the patients these belong to."""
