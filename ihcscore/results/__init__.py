"""The result folder: its layout, how it is read, how it is written."""
