"""Assays: what is scored, and how, for a marker."""
