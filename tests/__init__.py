"""Tests. A package, as others install one of this name that would come first."""
