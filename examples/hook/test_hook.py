"""Tests of the hook in Python: `python test_hook.py`. Those with Presidio run if it is installed with a model."""

import unittest

import hook

# Presidio is not sure of a telephone number without words around it, which a model has to understand.
PERSONAL = "+49 30 1234567" if hook.ANALYZER is None else "alice@example.com"


def asked(message) -> dict:
    """What becomes of a message of a server."""
    return hook.answer({"version": 1, "phase": "results", "message": message})


def result(text: str) -> dict:
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}


class Answers(unittest.TestCase):
    """What does not depend on what finds personal data."""

    def test_arguments_pass(self) -> None:
        self.assertEqual(hook.answer({"version": 1, "phase": "arguments", "arguments": {}}), {"action": "pass"})

    def test_what_has_nothing_personal_passes(self) -> None:
        self.assertEqual(asked(result("four apples")), {"action": "pass"})

    def test_results_errors_and_notifications_are_masked(self) -> None:
        text = f"ask {PERSONAL} today"
        for name, value in [
            ("result", {"content": [{"type": "text", "text": text}]}),
            ("error", {"code": 1, "message": text}),
            ("params", {"level": "info", "data": text}),
        ]:
            answer = asked({"jsonrpc": "2.0", name: value})
            self.assertEqual(answer["action"], "replace", name)
            self.assertNotIn(PERSONAL, str(answer))
            self.assertEqual(answer["message"]["jsonrpc"], "2.0")

    def test_a_batch_with_personal_data_is_denied(self) -> None:
        self.assertEqual(asked([result("four apples")]), {"action": "pass"})
        self.assertEqual(asked([result(f"ask {PERSONAL}")])["action"], "deny")


@unittest.skipIf(hook.ANALYZER is None, "Presidio is not installed with a model")
class WithPresidio(unittest.TestCase):
    """What only Presidio finds."""

    def test_forms_that_presidio_knows(self) -> None:
        text = "write to alice@example.com or pay with 4111 1111 1111 1111"
        shown = asked(result(text))["message"]["result"]["content"][0]["text"]
        self.assertEqual(shown, "write to [email_address] or pay with [credit_card]")


if __name__ == "__main__":
    unittest.main()
