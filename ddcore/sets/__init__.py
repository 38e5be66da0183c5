"""The artefact: a distilled set, its use, its files."""
