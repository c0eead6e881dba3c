"""Calibration: how far labels can be trusted, from failures whose presence is known exactly, and from people.

inject   planted failures of simulated models, and surgical edits of clean traces -> calibration.json
sheet    blind annotation sheets for people
agreement   kappa, AC1 and alpha between annotators

`calibration.json` beside this file is what `inject` gave for this version's detectors on conf/experiment/
calibration.yaml; rerun both after a change of a detector.
"""
