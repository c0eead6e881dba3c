"""Formats of others: importers and exporters. Owns no measurement."""
