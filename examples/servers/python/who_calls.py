"""Accepts only requests that the gateway has signed, and says who calls. For any ASGI application."""

import base64
import hashlib
import json

import anyio.to_thread
import jwt
import rfc8785
from starlette.responses import JSONResponse

FIELD = b"x-portcullis-assertion"
BODY_BYTES = 8 * 1024 * 1024
# The member of `params` that names what a method acts on.
NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def is_signed(caller: dict, body: bytes) -> bool:
    """Whether a message asks for what the gateway has signed: the method, the tool, and the arguments (RFC 8785)."""
    try:
        # A JSON number is a double for the gateway; only shorter integers are the same number for Python.
        message = json.loads(body, parse_int=lambda digits: int(digits) if len(digits) < 16 else float(digits))
        method, params = message["method"], message.get("params", {})
        signed = [caller.get("mcp_method"), None, None]
        asked = [method, None, None]
        if method in NAMES:
            signed[1], asked[1] = caller.get("mcp_name"), params[NAMES[method]]
        if method in ("tools/call", "prompts/get"):
            digest = hashlib.sha256(rfc8785.dumps(params.get("arguments", {}))).digest()
            signed[2], asked[2] = caller.get("arguments_sha256"), base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return signed == asked
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return False


class WhoCalls:
    """`gate` is the gateway's `public_url`; `origin` is this server's URL, exactly as in the gateway's `origin`.

    An assertion that names what the request asks for is compared with the message. With `operation`, every assertion must name
    it: set `identity_assertion.operation` at the gateway.
    """

    def __init__(self, app, *, gate: str, origin: str, operation: bool = False) -> None:
        self.app, self.gate, self.origin, self.operation = app, gate, origin, operation
        # Keys are cached for five minutes; an unknown key is looked up at most twice a minute.
        self.keys = jwt.PyJWKClient(f"{gate}/.well-known/jwks.json", timeout=5)

    def verify(self, assertion: str) -> dict:
        verified = jwt.decode_complete(
            assertion,
            self.keys.get_signing_key_from_jwt(assertion),
            algorithms=["ES256", "EdDSA"],
            issuer=self.gate,
            audience=self.origin,
            options={"require": ["exp", "sub", "subject_issuer"], "strict_aud": True},
        )
        # A gateway that is an authorization server signs other JWTs too.
        if verified["header"].get("typ") != "portcullis-assertion+jwt":
            raise jwt.InvalidTokenError("the token is not an assertion")
        return verified["payload"]

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)

        async def refuse(error: str, status: int = 401) -> None:
            await JSONResponse({"error": error}, status)(scope, receive, send)

        try:
            # Exactly one field: with two it is not clear which one counts.
            (assertion,) = [value.decode("latin-1") for name, value in scope["headers"] if name == FIELD]
            # In a thread, because fetching keys must not delay other requests.
            caller = await anyio.to_thread.run_sync(self.verify, assertion)
        except jwt.PyJWKClientConnectionError:
            return await refuse("the gateway's keys are unavailable", 503)
        except (jwt.PyJWTError, ValueError):
            return await refuse("not from the gateway")
        # Handlers get this as `request.state.caller`.
        scope.setdefault("state", {})["caller"] = caller
        if scope.get("method") != "POST" or not (self.operation or "mcp_method" in caller):
            return await self.app(scope, receive, send)

        body, is_complete = b"", False
        while not is_complete:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body, is_complete = body + event.get("body", b""), not event.get("more_body", False)
            if len(body) > BODY_BYTES:
                return await refuse("the body is too large", 413)
        if not is_signed(caller, body):
            return await refuse("not what the gateway has signed")
        events = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again():
            return events.pop() if events else await receive()

        await self.app(scope, receive_again, send)
