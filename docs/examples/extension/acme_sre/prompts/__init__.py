"""Prompt interventions, one YAML file each."""
