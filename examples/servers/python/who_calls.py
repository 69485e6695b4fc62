"""Lets requests through that the gate has signed, and no others; says who calls. For any ASGI application."""

import anyio.to_thread
import jwt
from starlette.responses import JSONResponse

FIELD = b"x-portcullis-assertion"


class WhoCalls:
    """`gate` is the gate's `public_url`, `origin` this server's URL as it stands there in `origin`."""

    def __init__(self, app, *, gate: str, origin: str) -> None:
        self.app, self.gate, self.origin = app, gate, origin
        # Kept for five minutes; a key that is not among them is looked for twice a minute at most.
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
        # The gate signs other JWTs too, where it is an authorization server.
        if verified["header"].get("typ") != "portcullis-assertion+jwt":
            raise jwt.InvalidTokenError("this is no assertion")
        return verified["payload"]

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        try:
            # One of it, no more and no less: which of two would count?
            (assertion,) = [value.decode("latin-1") for name, value in scope["headers"] if name == FIELD]
            # Keys may have to be fetched, which must not keep others waiting.
            caller = await anyio.to_thread.run_sync(self.verify, assertion)
        except jwt.PyJWKClientConnectionError:
            return await JSONResponse({"error": "no keys of the gate"}, 503)(scope, receive, send)
        except (jwt.PyJWTError, ValueError):
            return await JSONResponse({"error": "not from the gate"}, 401)(scope, receive, send)
        # What handlers see as `request.state.caller`.
        scope.setdefault("state", {})["caller"] = caller
        await self.app(scope, receive, send)
