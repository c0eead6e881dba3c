"""Incidents, one YAML file each, called by an id that the catalogue does not have."""
