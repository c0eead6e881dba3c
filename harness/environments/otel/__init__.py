"""OpenTelemetry data as collectors store them, whatever holds them: a recorded table, ClickHouse, Jaeger.

severity    what a log record's severity is called
spans       spans of a trace, and the calls that they show
paths       calls added up to the call paths of a window
"""
