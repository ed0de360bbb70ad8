"""AWS for tests: moto, with a door before it that is as strict as Secrets Manager where moto is not.

Usage: server.py [ADDRESS]   serves on a free port of the loopback, or of that address, prints it, and ends when its standard input does.

What the door adds, each with the rule of AWS that it stands for:
- BatchGetSecretValue takes at most 20 ids (API reference, SecretIdList).
- SecretString and SecretBinary have at most 65,536 bytes (API reference, PutSecretValue).
- A label that is moved is moved: GetSecretValue follows UpdateSecretVersionStage.
- Credentials that nobody knows, and sessions that have ended, are refused.
- Requests in the name of the instance's role are signed as botocore itself would sign them, at most five minutes ago, with the
  headers that matter among those signed.
It is an EC2 instance's metadata service as well, and that one speaks IMDSv2 alone: no answer without a token, no token without its
time to live, none through a proxy, none after its time.
And for tests: it counts calls, and fails on demand.

GET  /_test/calls                        [{"operation": …, "ids": […], "region": …, "key": …}, …] since the last reset; `key` is the
                  access key that it was asked with, and of AssumeRole `gave` the one that the role has got
POST /_test/fail  {"operation", "id", "code", "message", "times"}   the next calls of that operation fail; with an id, of that secret.
                  GetSecretValue with an id fails inside of a batch as well, as one of its Errors
POST /_test/instance {"role", "region", "ahead"}   what the instance is: without a role there is none; `ahead` is by how many seconds the clock
                  of the service is. Of the operations that can fail, `Token`, `Role`, `Credentials` and `Region` are its own, and
                  the code is then a status
POST /_test/renew                        the instance's role has other credentials from now on; the old session has ended
POST /_test/reset                        forgets calls, failures and all secrets
"""

import base64
import datetime
import email.utils
import json
import re
import secrets
import sys
import threading
import time
from io import BytesIO

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager import models
from werkzeug.serving import WSGIRequestHandler, make_server

MOST_IDS = 20
MOST_BYTES = 65_536
CALLS, FAILURES = [], []
INSTANCE = {"role": None, "region": "eu-central-1", "ahead": 0}
# Tokens of the metadata service with the time of their end, and the role's credentials; sessions that have ended.
TOKENS, KEYS, ENDED = {}, {}, set()
SIGNED = {"host", "x-amz-date", "x-amz-security-token", "x-amz-target", "content-type"}
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


def plain(start_response, status, text=""):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]


def renew():
    ENDED.update(KEYS)
    KEYS.clear()
    KEYS["ASIA" + secrets.token_hex(8).upper()] = (secrets.token_urlsafe(30), secrets.token_urlsafe(60))


def instance(environ, start_response):
    """The metadata service."""
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    places = {
        "/latest/api/token": "Token",
        "/latest/meta-data/iam/security-credentials/": "Role",
        "/latest/meta-data/placement/region": "Region",
    }
    of_role = f"/latest/meta-data/iam/security-credentials/{INSTANCE['role']}"
    place = places.get(path) or ("Credentials" if INSTANCE["role"] and path == of_role else path)
    with LOCK:
        CALLS.append({"operation": place, "ids": [], "region": None})
        failure = Door.failure(place, [])
    if failure:
        return plain(start_response, failure[0], failure[1])
    if place == "Token":
        time_to_live = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", "")
        if method != "PUT":
            return plain(start_response, "405 Method Not Allowed")
        if environ.get("HTTP_X_FORWARDED_FOR"):
            return plain(start_response, "403 Forbidden")
        if not time_to_live.isdigit() or not 1 <= int(time_to_live) <= 21600:
            return plain(start_response, "400 Bad Request")
        token = secrets.token_urlsafe(40)
        TOKENS[token] = time.time() + int(time_to_live)
        return plain(start_response, "200 OK", token)
    if method != "GET":
        return plain(start_response, "405 Method Not Allowed")
    if TOKENS.get(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN"), 0) < time.time():
        return plain(start_response, "401 Unauthorized")
    if place == "Region":
        return plain(start_response, "200 OK", INSTANCE["region"])
    if place == "Role" and INSTANCE["role"]:
        return plain(start_response, "200 OK", INSTANCE["role"])
    if place == "Credentials":
        ((key, (secret, token)),) = KEYS.items()
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=6)
        credentials = {
            "Code": "Success",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "Type": "AWS-HMAC",
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Token": token,
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return plain(start_response, "200 OK", json.dumps(credentials, indent=2))
    return plain(start_response, "404 Not Found")


def badly_signed(environ, key, region, body):
    """Why a request in the name of the role is refused."""
    secret, token = KEYS[key]
    authorization = environ["HTTP_AUTHORIZATION"]
    exact = re.fullmatch(
        rf"AWS4-HMAC-SHA256 Credential={key}/(\d{{8}})/{region}/secretsmanager/aws4_request, "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        authorization,
    )
    if not exact:
        return "IncompleteSignatureException", "the form of the header is another"
    day, names, signature = exact.groups()
    names = names.split(";")
    if names != sorted(names) or not SIGNED <= set(names):
        return "InvalidSignatureException", f"not all of {sorted(SIGNED)} are signed"
    if environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != token:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    headers = {}
    for name in names:
        variable = name.upper().replace("-", "_")
        headers[name] = environ.get(variable if name == "content-type" else f"HTTP_{variable}", "")
    date = headers["x-amz-date"]
    now = time.time() + INSTANCE["ahead"]
    then = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC).timestamp()
    if abs(now - then) > 300 or not date.startswith(day):
        return "InvalidSignatureException", f"Signature expired: {date} is now not within five minutes"
    request = AWSRequest(
        method=environ["REQUEST_METHOD"], url=f"http://{headers['host']}{environ['PATH_INFO']}", headers=headers, data=body
    )
    request.context["timestamp"] = date
    auth = SigV4Auth(Credentials(key, secret, token), "secretsmanager", region)
    right = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if right != signature:
        return "InvalidSignatureException", "The request signature we calculated does not match"
    return None


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


def of_credentials(environ, body):
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", authorization)
    if not scope or "Signature=" not in authorization:
        return None, ("MissingAuthenticationTokenException", "Missing Authentication Token")
    key, region = scope.groups()
    if key == "UNKNOWN":
        return region, ("UnrecognizedClientException", "The security token included in the request is invalid.")
    if key in KEYS:
        return region, badly_signed(environ, key, region, body)
    if environ.get("HTTP_X_AMZ_SECURITY_TOKEN") == "ended" or key in ENDED:
        return region, ("ExpiredTokenException", "The security token included in the request is expired")
    return region, None


def key_of(environ):
    found = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return found and found.group(1)


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
        if path.startswith("/latest/"):
            return instance(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith("secretsmanager."):
            region, refused = of_credentials(environ, body)
            operation, request = target.split(".", 1)[1], json.loads(body)
            ids = request.get("SecretIdList") or [request[key] for key in ("SecretId", "Name") if key in request]
            refused = refused or too_strict_to_pass(operation, request)
            with LOCK:
                CALLS.append({"operation": operation, "ids": ids, "region": region, "key": key_of(environ)})
                refused = refused or self.failure(operation, ids)
            if refused:
                return refusal(start_response, *refused)
            if operation == "BatchGetSecretValue":
                return self.batch(environ, request, start_response)
        else:
            with LOCK:
                form = re.search(rb"Action=(\w+)", body)
                action = form.group(1).decode() if form else ""
                refused = self.failure(action, [])
            if refused:
                text = f"<ErrorResponse><Error><Code>{refused[0]}</Code><Message>{refused[1]}</Message></Error></ErrorResponse>"
                start_response("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(text)))])
                return [text.encode()]
            if action == "AssumeRole":
                return self.assume(environ, body, start_response)
        return self.inner(with_body(environ, body), start_response)

    def assume(self, environ, body, start_response):
        """Passes it on, and notes down whom it makes of whom."""
        text = b"".join(self.inner(with_body(environ, body), start_response))
        gave = re.search(rb"<AccessKeyId>([^<]+)<", text)
        call = {"operation": "AssumeRole", "ids": [], "region": None, "key": key_of(environ)}
        with LOCK:
            CALLS.append({**call, "gave": gave and gave.group(1).decode()})
        return [text]

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
            if path == "/_test/instance":
                INSTANCE.update(request)
                renew()
                return answer(start_response, {})
            if path == "/_test/renew":
                renew()
                return answer(start_response, {})
            if path == "/_test/reset":
                CALLS.clear()
                FAILURES.clear()
                moto_api_backend.reset()
                return answer(start_response, {})
        return answer(start_response, {})


class Handler(WSGIRequestHandler):
    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(time.time() + INSTANCE["ahead"], usegmt=True)


address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
door = Door(DomainDispatcherApplication(create_backend_app))
server = make_server(address, 0, door, threaded=True, request_handler=Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
