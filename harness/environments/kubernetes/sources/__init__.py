"""Where an existing application's monitoring is read from: HTTP servers that somebody else runs.

web          one request, bounded in time and size
clickhouse   ClickHouse's HTTP interface, and how a text gets into a query
tables       log records and call paths from the tables that an OpenTelemetry collector fills
jaeger       call paths from Jaeger's query API
choice       which source answers what, as configured

Whatever goes wrong is an InfrastructureError: the agent that happened to ask is not to blame. Where it is only this
one query, it is an Unanswered: the toolbox tells the agent, and the trial goes on.
"""
