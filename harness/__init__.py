"""A harness that measures which interventions fix which failures of LLM agents on ITBench SRE incidents."""

__version__ = "0.1.0"
