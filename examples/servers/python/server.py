"""An MCP server behind the gateway, with one tool that says who calls.

    GATE=https://mcp.example.com ORIGIN=https://tools.internal.example/mcp PORT=9200 python server.py
"""

import os
from urllib.parse import urlsplit

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from who_calls import WhoCalls

GATE, ORIGIN = os.environ["GATE"], os.environ["ORIGIN"]

server = MCPServer("behind-the-gateway")


@server.tool()
def whoami(ctx: Context) -> dict[str, str | None]:
    """Who is calling, as the gateway has verified it."""
    caller = ctx.request_context.request.state.caller
    # A subject is unique only for its issuer, so the result has both.
    names = {"subject": "sub", "issuer": "subject_issuer", "client": "client_id", "scopes": "scope"}
    return {name: caller.get(claim) for name, claim in names.items()}


app = WhoCalls(
    server.streamable_http_app(
        streamable_http_path=urlsplit(ORIGIN).path,
        # Without sessions no caller can continue the session of another.
        stateless_http=True,
        # The gateway, and a tunnel, send the host of ORIGIN in the Host field.
        transport_security=TransportSecuritySettings(allowed_hosts=[urlsplit(ORIGIN).netloc]),
    ),
    gate=GATE,
    origin=ORIGIN,
    operation=os.environ.get("OPERATION") == "required",
)

if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "9200")))
