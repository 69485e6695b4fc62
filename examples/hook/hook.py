"""A hook in Python: it removes personal data from the results of tools.

Names, telephone numbers and other personal data are found by Microsoft's Presidio, if it is installed with a model of spaCy
(`pip install presidio-analyzer` and `python -m spacy download en_core_web_lg`; SPACY_MODEL names another model); otherwise only
telephone numbers, by their form. Its tests: `python test_hook.py`.
The contract is in docs/trust.md. Run it with `python hook.py PORT`, with the secret in HOOK_SECRET.
"""

import hmac
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("HOOK_SECRET", "")
PHONE = re.compile(r"\+\d[\d ()-]{6,}\d")
MOST_BYTES = 2 * 1024 * 1024

MODEL = os.environ.get("SPACY_MODEL", "en_core_web_lg")


def presidio():
    """Presidio with the model; nothing if one of them is not installed."""
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError:
        return None
    # Presidio itself would download a model that is missing, and end the process if it cannot.
    if not (spacy.util.is_package(MODEL) or os.path.isdir(MODEL)):
        return None
    models = [{"lang_code": "en", "model_name": MODEL}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


ANALYZER = presidio()


def masked(text: str) -> str:
    """The text without personal data."""
    if ANALYZER is None:
        return PHONE.sub("[phone]", text)
    found = ANALYZER.analyze(text=text, language="en", score_threshold=0.5)
    out, at = "", 0
    for one in sorted(found, key=lambda it: (it.start, -it.end)):
        # What is found within something else, as the domain of an address, is masked with it.
        if one.start >= at:
            out += f"{text[at : one.start]}[{one.entity_type.lower()}]"
        at = max(at, one.end)
    return out + text[at:]


def without_personal_data(value):
    """The same value, with every text masked, also in the names of members."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [without_personal_data(item) for item in value]
    if isinstance(value, dict):
        return {masked(name): without_personal_data(item) for name, item in value.items()}
    return value


def answer(question: dict) -> dict:
    """What becomes of what the gateway asks about."""
    if question["phase"] != "results":
        return {"action": "pass"}
    message = question["message"]
    if isinstance(message, list):  # A batch cannot be replaced.
        is_clean = without_personal_data(message) == message
        return {"action": "pass"} if is_clean else {"action": "deny", "reason": "It has personal data."}
    # What a server says in results, errors and notifications; the names of the protocol stay.
    said = {name: without_personal_data(message[name]) for name in ("result", "error", "params") if name in message}
    if all(message[name] == value for name, value in said.items()):
        return {"action": "pass"}
    return {"action": "replace", "message": {**message, **said}}


class Hook(BaseHTTPRequestHandler):
    """Answers the gateway, and no other caller."""

    def do_POST(self) -> None:
        given = self.headers.get("authorization", "")
        if not hmac.compare_digest(given, f"Bearer {SECRET}"):
            return self.reply(401, {})
        length = int(self.headers.get("content-length") or 0)
        if length > MOST_BYTES:
            return self.reply(413, {})
        question = json.loads(self.rfile.read(length))
        if question.get("version") != 1:
            return self.reply(400, {})
        self.reply(200, answer(question))

    def reply(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Writes nothing: a request line says nothing of use."""


if __name__ == "__main__":
    if len(SECRET) < 32:
        sys.exit("HOOK_SECRET must have 32 characters or more")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
