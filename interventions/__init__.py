"""What an experiment changes about the agent system: prompt interventions (text) and structural guards (code).

    structural/   one module per guard; each names the MAST slugs it targets
    prompt/       one YAML file per text; a twin carries the same items as its guard
    registry.py   finds both by name

Owns: arms' contents. Never sees ground truth, arm names or outcomes.
"""
