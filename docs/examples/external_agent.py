"""A third-party agent in 40 lines: it reverts the Deployment that was changed last, and says so. No LLM."""

import asyncio
import json
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['HARNESS_MCP_TOKEN']}"}
    http = httpx2.AsyncClient(headers=headers, timeout=900)
    async with http, Client(streamable_http_client(os.environ["HARNESS_MCP_URL"], http_client=http)) as tools:

        async def call(tool: str, /, **arguments: object) -> tuple[str, list[dict]]:
            text = (await tools.call_tool(tool, arguments)).content[0].text
            cited, _, body = text.partition(" ")  # "[c3] {...}": the id by which a result can be cited
            return cited, json.loads(body).get("data", []) if body.startswith("{") else []

        async def alerts() -> tuple[str, set[str]]:
            cited, rows = await call("alert_summary", state_filter="firing")
            return cited, {row["alertname"] for row in rows if row["namespace"] != "monitoring"}

        _, before = await alerts()
        seen, rows = await call("k8s_spec_change_analysis")
        changed = [row for row in rows if row["kind"] == "Deployment"]
        culprit = max(changed, key=lambda row: row["changes"][-1]["timestamp"])
        await call("rollout_undo", name=culprit["name"], namespace=culprit["namespace"])
        await call("wait", seconds=600)
        check, after = await alerts()
        cause = {"name": culprit["entity_id"], "contributing_factor": True}
        cause |= {"reasoning": "changed last", "evidence": seen}
        explained = [{"alert": name, "explanation": "follows from it", "explained": True} for name in before]
        claim = {"resolved": not after, "resolution_evidence": check}
        await call("submit", entities=[cause], propagations=[], alerts_explained=explained, **claim)


asyncio.run(main())
