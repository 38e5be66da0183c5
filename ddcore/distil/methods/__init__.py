"""The published methods. Adding one is adding a file here that defines `METHOD`."""
