"""Accepts only requests that the gateway has signed, and says who calls. For any ASGI application."""

import anyio.to_thread
import jwt
from starlette.responses import JSONResponse

FIELD = b"x-portcullis-assertion"


class WhoCalls:
    """`gate` is the gateway's `public_url`; `origin` is this server's URL, exactly as in the gateway's `origin`."""

    def __init__(self, app, *, gate: str, origin: str) -> None:
        self.app, self.gate, self.origin = app, gate, origin
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
        try:
            # Exactly one field: with two it is not clear which one counts.
            (assertion,) = [value.decode("latin-1") for name, value in scope["headers"] if name == FIELD]
            # In a thread, because fetching keys must not delay other requests.
            caller = await anyio.to_thread.run_sync(self.verify, assertion)
        except jwt.PyJWKClientConnectionError:
            return await JSONResponse({"error": "the gateway's keys are unavailable"}, 503)(scope, receive, send)
        except (jwt.PyJWTError, ValueError):
            return await JSONResponse({"error": "not from the gateway"}, 401)(scope, receive, send)
        # Handlers get this as `request.state.caller`.
        scope.setdefault("state", {})["caller"] = caller
        await self.app(scope, receive, send)
