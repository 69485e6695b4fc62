"""Calls a tool of an MCP server behind the gateway.

    python call.py URL [TOOL [ARGUMENTS]]

With MCP_TOKEN in the environment (an access token or an API key) the program sends that. Without it, the program
signs in: it prints the page to open, and waits for the browser on a port of this machine.
"""

import asyncio
import json
import logging
import os
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

# Responses may stream for minutes.
TIMEOUT = httpx2.Timeout(30, read=300)


class Memory:
    """Keeps tokens until the program ends. An application would keep them in the user's keychain."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Callback:
    """The redirect URI: listens on a port of this machine while the program runs."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def __aenter__(self) -> "Callback":
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/callback"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = urlsplit((await reader.readline()).decode("latin-1").split(" ")[1])
        # Browsers also request icons.
        found = target.path == "/callback"
        if found:
            self.answers.put_nowait({name: values[0] for name, values in parse_qs(target.query).items()})
        text = "You can close this page.\n" if found else "Not found.\n"
        status = "200 OK" if found else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close\r\n"
        writer.write(f"{head}\r\n{text}".encode())
        await writer.drain()
        writer.close()

    async def result(self) -> AuthorizationCodeResult:
        answer = await self.answers.get()
        if "code" not in answer:
            raise OAuthFlowError(f"the authorization server rejected the sign-in: {answer.get('error', 'no reason given')}")
        # The SDK checks `state`, and that `iss` is the authorization server that was asked.
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))


async def show(url: str) -> None:
    print(f"Open this page to sign in:\n{url}", file=sys.stderr, flush=True)


def signing_in(url: str, callback: Callback) -> OAuthClientProvider:
    return OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="Portcullis example (Python)",
            redirect_uris=[callback.url],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(),
        redirect_handler=show,
        callback_handler=callback.result,
        # The https URL of a client ID metadata document, where the server accepts one; otherwise the program registers itself.
        client_metadata_url=os.environ.get("MCP_CLIENT_ID_URL"),
    )


async def main(url: str, tool: str = "whoami", arguments: str = "{}") -> int:
    async with Callback() as callback:
        token = os.environ.get("MCP_TOKEN")
        how = {"headers": {"Authorization": f"Bearer {token}"}} if token else {"auth": signing_in(url, callback)}
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, **how) as http,
            Client(streamable_http_client(url, http_client=http), mode="auto") as client,
        ):
            print("Tools:", ", ".join(one.name for one in (await client.list_tools()).tools))
            result = await client.call_tool(tool, json.loads(arguments))
            for part in result.content:
                print(part.text if part.type == "text" else f"({part.type})")
            return 1 if result.is_error else 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    # The error is printed below, in one line.
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except Exception as error:
        while inner := getattr(error, "exceptions", None):
            error = inner[0]
        sys.exit(f"{type(error).__name__}: {error}")
