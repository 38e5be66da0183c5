"""The artefact: everything needed to use a set of synthetic images, and nothing that needs torch to read."""

from __future__ import annotations
