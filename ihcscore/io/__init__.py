"""Files to pixels."""
