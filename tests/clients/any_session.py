"""One MCP session of the real Python client, over any transport.

Takes one argument, a JSON object:
    {"command": [...]} or {"url": "...", "ca": FILE or null, "headers": {...}}
    and {"mode": "auto" | "legacy" | "2026-07-28", "calls": [[METHOD, PARAMETERS], ...]}
where METHOD is a tool's name, `resources/read` or `prompts/get`. Prints one line of JSON: the tools' names, and each
result as it came.
"""

import asyncio
import json
import ssl
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

PATIENCE = 30


async def ask(client, method, parameters):
    try:
        match method:
            case "resources/read":
                answer = await client.read_resource(parameters["uri"])
            case "prompts/get":
                answer = await client.get_prompt(parameters["name"], parameters.get("arguments"))
            case tool:
                answer = await client.call_tool(tool, parameters)
        return answer.model_dump(by_alias=True, mode="json", exclude_none=True)
    except MCPError as error:
        return {"code": error.error.code, "message": error.error.message}


async def session(order, server):
    async with Client(server, mode=order["mode"], read_timeout_seconds=PATIENCE) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        results = [await ask(client, method, parameters) for method, parameters in order["calls"]]
    return {"tools": tools, "results": results}


async def run(order):
    if "command" in order:
        program, *arguments = order["command"]
        return await session(order, StdioServerParameters(command=program, args=arguments))
    trusted = ssl.create_default_context(cafile=order["ca"]) if order["ca"] else True
    async with httpx2.AsyncClient(verify=trusted, headers=order["headers"], timeout=PATIENCE) as http:
        return await session(order, streamable_http_client(order["url"], http_client=http))


print(json.dumps(asyncio.run(run(json.loads(sys.argv[1])))))
