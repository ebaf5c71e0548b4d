"""The bench's handlers as one writes them for werkzeug on gevent: server.py PORT UPSTREAM_PORT"""
# pylint: disable=wrong-import-position
from gevent import monkey

monkey.patch_all()

import base64
import http.client
import json
import os
import struct
import sys
import time

from gevent.pywsgi import WSGIServer
from werkzeug.wrappers import Request, Response

PORT, UPSTREAM_PORT = map(int, sys.argv[1:3])
ASSET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../plugin/_assets/page.css")
free_connections = []


def hello(_):
    return Response("Hello, world!\n", mimetype="text/plain")


def order(request):
    value = request.get_json()
    value["total"] = sum(item["price"] * item["count"] for item in value["items"])
    return Response(json.dumps(value), mimetype="application/json")


def stream(_):
    def events():
        for i in range(1, 201):
            yield f'data: {{"index":{i},"text":"a few words"}}\n\n'
    return Response(events(), mimetype="text/event-stream")


def ask(path, body):
    connection = free_connections.pop() if free_connections else http.client.HTTPConnection(
        "127.0.0.1", UPSTREAM_PORT)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def events_of(connection, reply):
    for line in reply:
        if line.startswith(b"data: ") and line != b"data: [DONE]\n":
            yield json.loads(line[6:])
    free_connections.append(connection)


def relay(_):
    return relayed("burst")


def paced(_):
    return relayed("paced")


def relayed(how):
    def events():
        messages = [{"role": "user", "content": "Say something."}]
        for event in events_of(*ask("/v1/chat/completions",
                                    {"model": how, "messages": messages, "stream": True})):
            if event["choices"]:
                choice = event["choices"][0]
                mapped = {"text": choice["delta"].get("content", "")}
                if choice["finish_reason"]:
                    mapped["finish_reason"] = choice["finish_reason"]
                yield f"data: {json.dumps(mapped)}\n\n"
    return Response(events(), mimetype="text/event-stream")


def chat(request):
    query = request.get_json()["query"]

    def events():
        body = {"query": query, "inputs": {}, "user": "bench", "response_mode": "streaming"}
        for event in events_of(*ask("/v1/chat-messages", body)):
            yield json.dumps(event) + "\n\n"
    return Response(events(), mimetype="text/event-stream")


def embeddings(request):
    connection, reply = ask("/v1/embeddings", {"input": request.get_json()["input"]})
    answer = json.loads(reply.read())
    free_connections.append(connection)
    for item in answer["data"]:
        vector = item["embedding"]
        item["embedding"] = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return Response(json.dumps(answer), mimetype="application/json")


def greedy(_):
    def events():
        number = 1
        while True:
            for _ in range(20000):
                number = number * 16807 % 2147483647
            yield f"data: {number}\n\n"
            time.sleep(0)
    return Response(events(), mimetype="text/event-stream")


def idle(_):
    def events():
        yield "data: hello\n\n"
        time.sleep(600)
    return Response(events(), mimetype="text/event-stream")


def asset(_):
    with open(ASSET, "rb") as file:
        return Response(file.read(), mimetype="text/css")


HANDLERS = {"/hello": hello, "/json": order, "/stream": stream, "/relay": relay, "/paced": paced,
            "/chat": chat, "/embeddings": embeddings, "/idle": idle, "/asset": asset,
            "/greedy": greedy}


@Request.application
def application(request):
    return HANDLERS[request.path](request)


WSGIServer(("127.0.0.1", PORT), application, log=None, backlog=1024).serve_forever()
