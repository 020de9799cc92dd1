#!/usr/bin/env python3
"""A webhook in Python's standard library, and a client beside it, against a running fake-apiserver.

usage: webhook.py API-URL API-CA CLIENT-CERT CLIENT-KEY WEBHOOK-CA WEBHOOK-CERT WEBHOOK-KEY

It knows nothing of Towtank: an HTTP/1.1 server that answers AdmissionReviews, and requests as kubectl makes them.
"""
import base64
import http.client
import http.server
import json
import ssl
import sys
import threading
import urllib.parse

API, API_CA, CLIENT_CERT, CLIENT_KEY, HOOK_CA, HOOK_CERT, HOOK_KEY = sys.argv[1:]
SEEN = []


class Webhook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        SEEN.append((self.path, request["operation"], request["object"]["metadata"].get("name")))
        response = {"uid": request["uid"], "allowed": True}
        if self.path.startswith("/validate"):
            if request["object"]["metadata"].get("labels", {}).get("forbidden"):
                response = {"uid": request["uid"], "allowed": False, "status": {"message": "no such pods here", "code": 403}}
        else:
            labels = request["object"]["metadata"].get("labels")
            patch = [{"op": "add", "path": "/metadata/labels", "value": {}}] if labels is None else []
            patch.append({"op": "add", "path": "/metadata/labels/mutated-by", "value": "python"})
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode(), "warnings": ["patched in Python"]}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HOOK_CERT, HOOK_KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def request(method, path, body=None):
    url = urllib.parse.urlsplit(API)
    context = ssl.create_default_context(cafile=API_CA)
    context.load_cert_chain(CLIENT_CERT, CLIENT_KEY)
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=30)
    connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: expected {wanted!r}, found {found!r}; the webhook saw {SEEN}")


def webhook(kind, name, port, path):
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "webhooks": [{
            "name": f"{name}.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": f"https://127.0.0.1:{port}{path}", "caBundle": base64.b64encode(open(HOOK_CA, "rb").read()).decode()},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "namespaceSelector": {"matchLabels": {"python": "yes"}},
        }],
    }


def pod(name, labels=None):
    metadata = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}


def main():
    port = serve()
    configurations = "/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations"
    for name, labels in (("with", {"python": "yes"}), ("without", None)):
        metadata = {"name": name} | ({"labels": labels} if labels else {})
        expect(f"namespace {name}", request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})[0], 201)
    for kind, path in (("Mutating", "/mutate"), ("Validating", "/validate")):
        body = webhook(f"{kind}WebhookConfiguration", f"python-{kind.lower()}", port, path)
        expect(f"{kind} configuration", request("POST", configurations.format(kind.lower()), body)[0], 201)

    status, made, headers = request("POST", "/api/v1/namespaces/with/pods", pod("plain"))
    expect("pod plain", status, 201)
    expect("labels of plain", made["metadata"]["labels"], {"mutated-by": "python"})
    expect("warning", headers["Warning"], '299 - "patched in Python"')
    expect("stored pod", request("GET", "/api/v1/namespaces/with/pods/plain")[1]["metadata"]["labels"], {"mutated-by": "python"})

    status, refused, _ = request("POST", "/api/v1/namespaces/with/pods", pod("refused", {"forbidden": "yes"}))
    expect("refused pod", status, 403)
    expect("message", refused["message"], 'admission webhook "python-validating.example.com" denied the request: no such pods here')
    expect("refused pod is not stored", request("GET", "/api/v1/namespaces/with/pods/refused")[0], 404)

    before = len(SEEN)
    expect("pod elsewhere", request("POST", "/api/v1/namespaces/without/pods", pod("elsewhere", {"forbidden": "yes"}))[0], 201)
    expect("calls for the pod elsewhere", len(SEEN), before)
    expect("what the webhook saw", [s[1:] for s in SEEN], [("CREATE", "plain")] * 2 + [("CREATE", "refused")] * 2)
    expect("query", {s[0].split("?")[1] for s in SEEN}, {"timeout=10s"})
    print("ok")


main()
