"""Containers for what agents run: their commands (`sandbox=docker`), and whole agents (`agents.external.image`).

config      limits of a container, and what the two tools of a sandbox get
engine      the docker engine: found or explained, its images, and what earlier runs left behind
containers  one hardened container: made, spoken to within limits, gone with the process that holds it
pool        containers that stand ready, and the one that a trial holds
staging     evidence as files, without the ground truth
tools       `shell` and `python`, as agents see them

What is defended and what is not: docs/security.md. The docker SDK is imported only when an engine is asked for.
"""
