"""Hydra configuration groups; they stand beside the harness' own."""
