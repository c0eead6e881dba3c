"""ClickHouse and Jaeger as sources of an existing application's logs and traces."""
