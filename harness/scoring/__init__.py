"""Scoring: entity matcher, diagnosis metrics, three-part verdict. Locked against what is being tested."""
