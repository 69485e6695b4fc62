"""A real identity provider (PyPI canaille): canaille_provider.py PORT REDIRECT_URI CLIENT_SECRET.

Prints "ready" when it answers, and then an answer to each line of JSON that it reads. Who is signed in is what `login` says: canaille's
own forms are not the subject.
Needs: pip install pytest-iam canaille[oidc]
"""

import json
import os
import sys
import threading
import uuid

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import JWKRegistry
from pytest_iam import Server

port, redirect_uri, client_secret = sys.argv[1:]
key = JWKRegistry.generate_key("RSA", 2048)
key.ensure_kid()
quiet = {"version": 1, "disable_existing_loggers": False, "handlers": {}, "loggers": {}}
app = create_app(
    config={
        "TESTING": True,
        "ENV_FILE": None,
        "SECRET_KEY": str(uuid.uuid4()),
        "WTF_CSRF_ENABLED": False,
        "PREFERRED_URL_SCHEME": "http",
        "SERVER_NAME": f"localhost:{port}",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "LOGGING": quiet},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }
)
server = Server(app, int(port), Backend.instance)


def saved(one):
    Backend.instance.save(one)
    return one


def set_up():
    client = models.Client(
        client_id="portcullis",
        client_secret=client_secret,
        client_name="Portcullis",
        client_uri="http://127.0.0.1",
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups", "offline_access"],
        token_endpoint_auth_method="client_secret_basic",
        id_token_signed_response_alg="RS256",
    )
    saved(client)
    # The audience of its ID tokens.
    client.audience = [client]
    saved(client)


def user_named(name):
    return Backend.instance.get(models.User, user_name=name)


def handle(asked):
    what, name = asked["do"], asked.get("name")
    if what == "user":
        saved(
            models.User(
                user_name=name,
                formatted_name=name,
                given_name=name,
                family_name="Example",
                emails=[f"{name}@acme.example"],
                password="a long password",
            )
        )
    elif what == "login":
        server.logged_user = user_named(name) if name else None
    elif what == "delete":
        Backend.instance.delete(user_named(name))
    elif what == "group":
        members = [user_named(member) for member in asked["members"]]
        group = Backend.instance.get(models.Group, display_name=name) or models.Group(display_name=name)
        group.members = members
        saved(group)
    else:
        raise ValueError(what)


with app.app_context():
    set_up()
threading.Thread(target=server.httpd.serve_forever, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    try:
        with app.app_context():
            handle(json.loads(line))
        print(json.dumps({"done": True}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
