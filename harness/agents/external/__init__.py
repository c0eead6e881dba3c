"""The `external` agent: somebody else's program works on the incident through MCP (docs/external_agents.md).

config     what can be configured
desk       what a call of a tool does: budget, clock, session, end of the trial
server     MCP over HTTP on loopback, or over the program's stdin and stdout
process    the program: started, listened to, ended with everything that it started
agent      the order of these things in one trial
"""

from harness.agents.external.agent import ExternalAgent

__all__ = ["ExternalAgent"]
