"""MAST: the failure taxonomy as data, detectors that are code, and their classification of traces."""
