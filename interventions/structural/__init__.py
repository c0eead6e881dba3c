"""Structural guards, one module each."""
