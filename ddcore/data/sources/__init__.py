"""One file per dataset, found by name: a new file that ends with `SOURCE = Source(...)` is enough.

Files that start with an underscore are helpers shared by several datasets.
"""
