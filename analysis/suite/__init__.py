"""The analyses. Adding one is adding a package here that ends with `ANALYSIS = Analysis(...)`."""
