"""One MCP session of the real Python client over stdio.

Takes {"command": [...], "mode": "auto" | "legacy", "calls": [{"tool", "arguments"}, ...]} as its
argument, and prints what the session gave as one line of JSON.
"""

import asyncio
import json
import sys

from mcp import Client, MCPError, StdioServerParameters


async def session(order):
    program, *arguments = order["command"]
    server = StdioServerParameters(command=program, args=arguments)
    results = []
    async with Client(server, mode=order["mode"], read_timeout_seconds=20) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        for call in order["calls"]:
            try:
                answer = await client.call_tool(call["tool"], call["arguments"])
                text = "".join(item.text for item in answer.content if item.type == "text")
                results.append({"text": text, "is_error": bool(answer.is_error)})
            except MCPError as error:
                results.append({"code": error.error.code, "message": error.error.message})
    return {"tools": tools, "results": results}


def main():
    try:
        answer = asyncio.run(session(json.loads(sys.argv[1])))
    except* MCPError as group:
        error = group.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        answer = {"failed": {"code": error.error.code, "message": error.error.message}}
    print(json.dumps(answer))


main()
