// A server of the tests with PyPI `fastmcp`: its tools return what they should not, take long, or return much.
import { startFastMcp } from "../../e2e/support/python.mjs";

/** Put together here, so that no scanner takes this file for a leak. */
export const TOKEN = `ghp_${"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"}`;
export const CARD = "4111 1111 1111 1111";
export const EMAIL = "alice@mail.example";

const SERVER = `
import asyncio, sys
from typing import Annotated, Literal
from fastmcp import Context, FastMCP
from pydantic import Field

server = FastMCP("leaky")

@server.tool
def echo(text: str) -> str:
    """Returns a text."""
    return text

@server.tool
def person(name: str) -> dict:
    """Returns what is known of a person."""
    return {"name": name, "email": "alice@mail.example", "card": 4111111111111111, "notes": [{"key": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"}]}

@server.tool
def transfer(
    amount: Annotated[int, Field(ge=1, le=100)],
    currency: Literal["EUR", "USD"],
    to: Annotated[str, Field(pattern="^[A-Z]{2}[0-9]+$")],
) -> str:
    """Moves money."""
    return f"moved {amount} {currency} to {to}"

@server.tool
async def slow(seconds: float) -> str:
    """Takes some time."""
    await asyncio.sleep(seconds)
    return "done"

@server.tool
def much(bytes: int) -> str:
    """Returns much."""
    return "x" * bytes

@server.tool
async def steps(ctx: Context, text: str) -> str:
    """Says what it does."""
    await ctx.info("first: " + text)
    await ctx.info("second: nothing")
    return "last"

@server.prompt
def summarize(text: str) -> str:
    """Asks for a summary."""
    return "Summarize: " + text

@server.resource("data://people")
def people() -> str:
    """Everyone."""
    return "alice@mail.example, bob@mail.example"

server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]))
`;

export const startLeaky = () => startFastMcp(SERVER);
