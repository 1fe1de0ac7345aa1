"""Tests, as a package: others install one of this name."""
