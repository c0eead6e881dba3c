"""Hydra configuration groups; see `harness/config.py` for what each key means."""
