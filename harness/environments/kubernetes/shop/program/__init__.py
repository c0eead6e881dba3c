"""One workload of the shop: what runs inside every container of the application on a live cluster.

Plays the workload that OTEL_SERVICE_NAME names, from the operations in application.json: answers requests, calls its
callees at the addresses in its environment, reads feature flags, publishes and consumes messages, generates load.
Standard library only, few imports: dozens of these share a test machine.

Speaks HTTP: POST /OPERATION on the workload's ports, GET /metrics (Prometheus text) on port 9464; JSON log lines on
standard output. Owns: that process. Does not own: the image around it.
"""
