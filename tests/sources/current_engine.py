"""A current ClickHouse's query engine behind its HTTP interface, in a process of its own: the package chdb-core-lite.

    python -m tests.sources.current_engine DIRECTORY      prints the port, serves until it is terminated

It is the engine, not the server: users, settings and read-only queries are what the old server is asked about.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import chdb.session


def main(directory: str) -> None:
    """Serve one query after another."""
    session = chdb.session.Session(directory)
    session.query("CREATE DATABASE IF NOT EXISTS shop")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"])).decode()
            session.query("USE shop")
            try:
                status, body = 200, bytes(session.query(query).bytes())
            except RuntimeError as error:
                status, body = 500, str(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
