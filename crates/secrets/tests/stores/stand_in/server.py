"""AWS for tests: moto, with a door before it that is as strict as Secrets Manager where moto is not.

Usage: server.py        serves on a free port of the loopback, prints it, and ends when its standard input does.

What the door adds, each with the rule of AWS that it stands for:
- BatchGetSecretValue takes at most 20 ids (API reference, SecretIdList).
- SecretString and SecretBinary have at most 65,536 bytes (API reference, PutSecretValue).
- A label that is moved is moved: GetSecretValue follows UpdateSecretVersionStage.
- Credentials that nobody knows, and sessions that have ended, are refused.
And for tests: it counts calls, and fails on demand.

GET  /_test/calls                        [{"operation": …, "ids": […], "region": …}, …] since the last reset
POST /_test/fail  {"operation", "id", "code", "message", "times"}   the next calls of that operation fail; with an id, of that secret.
                  GetSecretValue with an id fails inside of a batch as well, as one of its Errors
POST /_test/reset                        forgets calls, failures and all secrets
"""

import base64
import json
import re
import sys
import threading
from io import BytesIO

from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager import models
from werkzeug.serving import make_server

MOST_IDS = 20
MOST_BYTES = 65_536
CALLS, FAILURES = [], []
LOCK = threading.Lock()


def _follow_label(original):
    def update(self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
        answer = original(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)
        if version_stage == "AWSCURRENT" and move_to_version_id:
            self.secrets[secret_id].default_version_id = move_to_version_id
        return answer

    return update


models.SecretsManagerBackend.update_secret_version_stage = _follow_label(
    models.SecretsManagerBackend.update_secret_version_stage
)


def refusal(start_response, code, message, status="400 Bad Request"):
    body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))])
    return [body]


def answer(start_response, value):
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def too_strict_to_pass(operation, request):
    """The code and message with which AWS refuses what moto takes."""
    ids = request.get("SecretIdList") or []
    if len(ids) > MOST_IDS:
        return "ValidationException", f"Value at 'secretIdList' failed to satisfy constraint: at most {MOST_IDS}"
    if len(ids) != len(set(ids)):
        return "InvalidParameterException", "SecretIdList contains duplicates"
    if operation == "BatchGetSecretValue" and not ids:
        return "InvalidParameterException", "the tests need no right to ListSecrets, so neither may the caller"
    if len(request.get("SecretString", "").encode()) > MOST_BYTES:
        return "ValidationException", "Value at 'secretString' failed to satisfy constraint: too long"
    if len(base64.b64decode(request.get("SecretBinary", ""))) > MOST_BYTES:
        return "ValidationException", "Value at 'secretBinary' failed to satisfy constraint: too long"
    return None


def of_credentials(environ):
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", authorization)
    if not scope or "Signature=" not in authorization:
        return None, ("MissingAuthenticationTokenException", "Missing Authentication Token")
    key, region = scope.groups()
    if key == "UNKNOWN":
        return region, ("UnrecognizedClientException", "The security token included in the request is invalid.")
    if environ.get("HTTP_X_AMZ_SECURITY_TOKEN") == "ended":
        return region, ("ExpiredTokenException", "The security token included in the request is expired")
    return region, None


def with_body(environ, body):
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


class Door:
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if path.startswith("/_test/"):
            return self.control(path, json.loads(body or b"{}"), start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith("secretsmanager."):
            region, refused = of_credentials(environ)
            operation, request = target.split(".", 1)[1], json.loads(body)
            ids = request.get("SecretIdList") or [request[key] for key in ("SecretId", "Name") if key in request]
            refused = refused or too_strict_to_pass(operation, request)
            with LOCK:
                CALLS.append({"operation": operation, "ids": ids, "region": region})
                refused = refused or self.failure(operation, ids)
            if refused:
                return refusal(start_response, *refused)
            if operation == "BatchGetSecretValue":
                return self.batch(environ, request, start_response)
        else:
            with LOCK:
                form = re.search(rb"Action=(\w+)", body)
                refused = self.failure(form.group(1).decode() if form else "", [])
            if refused:
                text = f"<ErrorResponse><Error><Code>{refused[0]}</Code><Message>{refused[1]}</Message></Error></ErrorResponse>"
                start_response("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(text)))])
                return [text.encode()]
        return self.inner(with_body(environ, body), start_response)

    def batch(self, environ, request, start_response):
        """Passes a batch on without the secrets that are to fail, and tells of those among its errors."""
        errors = []
        with LOCK:
            for secret in list(request["SecretIdList"]):
                refused = self.failure("GetSecretValue", [secret])
                if refused:
                    request["SecretIdList"].remove(secret)
                    errors.append({"SecretId": secret, "ErrorCode": refused[0], "Message": refused[1]})
        inner = {"SecretValues": [], "Errors": []}
        if request["SecretIdList"]:
            begun = []
            chunks = self.inner(with_body(environ, json.dumps(request).encode()), lambda *head: begun.append(head))
            inner = json.loads(b"".join(chunks))
            if not begun[0][0].startswith("200"):
                return refusal(start_response, inner["__type"], inner.get("message", ""), begun[0][0])
        inner["Errors"] = inner.get("Errors", []) + errors
        return answer(start_response, inner)

    @staticmethod
    def failure(operation, ids):
        for failure in FAILURES:
            named = failure.get("id") is None or failure["id"] in ids
            if failure["operation"] == operation and named and failure["times"] > 0:
                failure["times"] -= 1
                return failure["code"], failure["message"]
        return None

    @staticmethod
    def control(path, request, start_response):
        with LOCK:
            if path == "/_test/calls":
                return answer(start_response, CALLS)
            if path == "/_test/fail":
                FAILURES.append({"times": 1, "message": "", **request})
                return answer(start_response, {})
            if path == "/_test/reset":
                CALLS.clear()
                FAILURES.clear()
                moto_api_backend.reset()
                return answer(start_response, {})
        return answer(start_response, {})


server = make_server("127.0.0.1", 0, Door(DomainDispatcherApplication(create_backend_app)), threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
