"""How stored numbers become images. Adding one is adding a file here that defines `PARAMETRIZATION`.

What happens at run time is in modules that begin with "_": they need torch, so they are imported by a
parametrization's `build` only.
"""
