"""Compiled kernels: what is done pixel by pixel or cell by cell and no library does as fast.

Each module is a typed function or two over the C file of the same name: arrays in, new arrays out. Nothing here knows
columns, assays or files.
"""
