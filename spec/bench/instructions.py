#!/usr/bin/env python3
"""make bench-check: user-space instructions per operation, by callgrind, beside the committed ones.

    spec/bench/instructions.py [--only hello,json] [--write] [--limits] [--top WORKLOAD]

Both ends of each workload are here, in lockstep: what the client reads and what the upstream sends
does not depend on who is faster, so the counts do not depend on what else the machine does. The
committed table is instructions.json, by engine (LuaJIT's version and whether plugin code is
compiled), because engines differ. Exits with 1 when an operation costs over 5 % more than there.
--write puts what was counted there instead; --top lists the twenty functions of one workload.
--limits tells what arming and disarming the limits of time and memory costs around each entry to
Lua, with all that is called for it, and the ticker: without limits none of it would run.
"""

import argparse
import glob
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, "spec/bench")
# pylint: disable=wrong-import-position
import peers

TABLE = f"{peers.HERE}/instructions.json"
ALLOWED = 0.05
EVENTS = 200  # of one stream
BURST = 20
SECONDS = 120  # until a wait is given up


class Failed(Exception):
    """A reply was wrong or did not come."""


class Client:
    """One keep-alive connection to the host."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.sock.settimeout(SECONDS)
        self.bytes = b""

    def send(self, path, body=None):
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: bench\r\n"
        if "openai" in path:
            head += "Authorization: Bearer bench\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.sock.sendall(head.encode() + b"\r\n" + (body or b""))

    def more(self):
        piece = self.sock.recv(1 << 20)
        if not piece:
            raise Failed("the host closed the connection")
        self.bytes += piece

    def head(self):
        while b"\r\n\r\n" not in self.bytes:
            self.more()
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 200"):
            raise Failed(head.decode(errors="replace").split("\r\n", maxsplit=1)[0])
        return head.decode().lower()

    def whole(self, path, body=None):
        self.send(path, body)
        return self.rest()

    def rest(self):
        """The body of a reply that tells its length."""
        length = int(re.search(r"content-length: (\d+)", self.head())[1])
        while len(self.bytes) < length:
            self.more()
        text, self.bytes = self.bytes[:length], self.bytes[length:]
        return text

    def events(self, count):
        """Waits until that many events are there."""
        while self.bytes.count(b"\n\n") < count:
            self.more()

    def end(self):
        """Reads the rest of a stream; gives its number of events."""
        while not self.bytes.endswith(b"\r\n0\r\n\r\n"):
            self.more()
        events, self.bytes = self.bytes.count(b"\n\n"), b""
        return events


class Upstream:
    """The server that the host calls; sends when it is told to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.conns = []

    def take_request(self):
        """Waits for a request, on a new connection or a kept one."""
        data, sock = b"", None
        while True:
            ready, _, _ = select.select([self.listener, *self.conns], [], [], SECONDS)
            if not ready:
                raise Failed("no request came upstream")
            if ready[0] is self.listener:
                sock = self.listener.accept()[0]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.conns.append(sock)
                continue
            sock = ready[0]
            piece = sock.recv(65536)
            if not piece:
                self.conns.remove(sock)
                continue
            data += piece
            head, found, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head.lower())
            if found and len(body) >= (int(length[1]) if length else 0):
                return sock

    @staticmethod
    def chunk(data):
        return b"%x\r\n%s\r\n" % (len(data), data)


# ---- what the upstreams say ---------------------------------------------------------------------

def openai_event(number):
    if number == EVENTS:
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    else:
        choice = {"index": 0, "delta": {"content": f"t={number:016} a few words"},
                  "finish_reason": None}
    text = json.dumps({"id": "chatcmpl-bench", "object": "chat.completion.chunk",
                       "created": 1700000000, "model": "bench", "choices": [choice]},
                      separators=(",", ":"))
    return f"data: {text}\n\n".encode() + (b"data: [DONE]\n\n" if number == EVENTS else b"")


def dify_chunk(number):
    ids = {name: "5ad4cb98-f0c7-4085-b384-88c403be6290" for name in
           ("conversation_id", "message_id", "task_id", "id")}
    if number == EVENTS:
        usage = {"prompt_tokens": 1033, "total_tokens": 1161, "currency": "USD", "latency": 0.77}
        return {"event": "message_end", **ids, "created_at": 1679586595,
                "metadata": {"usage": usage}}
    return {"event": "message", **ids, "created_at": 1679586595,
            "answer": f"t={number:016} a few words", "from_variable_selector": None}


def service_event(number):
    return f"data: {json.dumps(dify_chunk(number))}\n\n".encode()


def frame_event(number):
    text = json.dumps({"data": dify_chunk(number), "error": ""}, separators=(",", ":")).encode()
    return struct.pack("<BBHI6x", 0x0f, 0, 10, len(text)) + text


# ---- workloads: each does `count` units and gives the number of operations ------------------------

def hellos(bench, count, path="/e/bench/hello"):
    for _ in range(count):
        if bench.client.whole(path) != b"Hello, world!\n":
            raise Failed("another text came")
    return count


def hellos_of_many(bench, count):
    """Each at another endpoint of those that the admin API made."""
    for number in range(count):
        hook_id = bench.hook_ids[number * 7919 % len(bench.hook_ids)]
        if bench.client.whole(f"/e/{hook_id}/hello") != b"Hello, world!\n":
            raise Failed("another text came")
    return count


def orders(bench, count):
    with open(f"{peers.HERE}/order.json", "rb") as file:
        order = file.read()
    for _ in range(count):
        reply = bench.client.whole("/e/bench/json", order)
    if abs(json.loads(reply)["total"] - 118.74) > 0.001:
        raise Failed("another order came")
    return count


def streams(bench, count):
    for _ in range(count):
        bench.client.send("/e/bench/stream")
        bench.client.head()
        if bench.client.end() != EVENTS:
            raise Failed("another number of events came")
    return count * EVENTS


def relayed(path, body, event, step):
    """A stream through the host: `step` events are sent, then awaited, and so on."""
    def run(bench, count):
        sent = 0
        for _ in range(count):
            bench.client.send(path, body)
            sock = bench.upstream.take_request()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n")
            for first in range(0, EVENTS, step):
                numbers = range(first, first + step)
                sock.sendall(bench.upstream.chunk(b"".join(map(event, numbers))))
                if first == 0:
                    bench.client.head()
                bench.client.events(first + step)
            sock.sendall(bench.upstream.chunk(event(EVENTS)) + b"0\r\n\r\n")
            events = bench.client.end()
            if events != EVENTS + 1:
                raise Failed(f"{events} events came")
            sent += events
        return sent
    return run


def relayed_model(how, step):
    return relayed(f"/e/bench/{how}", None, openai_event, step)


def relayed_app(app, event, step):
    return relayed(f"/e/bench-{app}/pink/talk", b'{"query":"Say something."}', event, step)


def assets(bench, count):
    with open(f"{peers.HERE}/plugin/_assets/page.css", "rb") as file:
        style = file.read()
    for _ in range(count):
        if bench.client.whole("/e/bench/asset") != style:
            raise Failed("another file came")
    return count


def embeddings(bench, count):
    with open(f"{peers.HERE}/texts.json", "rb") as file:
        body = file.read()
    vectors = [{"object": "embedding", "index": i, "embedding": [
        round((i * 7919 + k * 104729) % 20011 / 2e5 - 0.05, 8) for k in range(384)]}
               for i in range(100)]
    answer = json.dumps({"object": "list", "model": "vectors", "data": vectors,
                         "usage": {"prompt_tokens": 900, "total_tokens": 900}}).encode()
    for _ in range(count):
        bench.client.send("/e/bench-openai/v1/embeddings", body)
        sock = bench.upstream.take_request()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer))
        reply = bench.client.rest()
    if len(json.loads(reply)["data"]) != 100:
        raise Failed("another number of vectors came")
    return count


# name: (what an operation is, the workload, units before counting, units that are counted)
WORKLOADS = {
    "hello": ("request", hellos, 1000, 4000),
    "hello-of-1": ("request", hellos_of_many, 1000, 4000),
    "hello-of-10000": ("request", hellos_of_many, 1000, 4000),
    "json": ("request", orders, 50, 300),
    "stream": ("event", streams, 3, 10),
    "relay-burst": ("event", relayed_model("relay", BURST), 2, 5),
    "relay-paced": ("event", relayed_model("paced", 1), 3, 8),
    "chat-service-burst": ("event", relayed_app("service", service_event, BURST), 2, 5),
    "chat-service-paced": ("event", relayed_app("service", service_event, 1), 3, 8),
    "chat-frames-burst": ("event", relayed_app("frames", frame_event, BURST), 2, 5),
    "chat-frames-paced": ("event", relayed_app("frames", frame_event, 1), 3, 8),
    "asset": ("request", assets, 50, 500),
    "embeddings": ("request", embeddings, 2, 8),
}

# How many endpoints the admin API makes first, beside those of the configuration.
ENDPOINTS = {"hello-of-1": 1, "hello-of-10000": 10000}


# ---- counting -----------------------------------------------------------------------------------

class Bench:
    """The host under callgrind, and the two ends."""

    def __init__(self, endpoints=0):
        if not shutil.which("callgrind_control"):
            raise Failed("valgrind is not installed")
        self.upstream = Upstream()
        self.host = peers.Host(self.upstream.port)
        self.host.set_up()
        self.host.allow_time(10000)
        if endpoints:
            self.host.start()
            self.hook_ids = self.host.add_endpoints(endpoints)
            self.host.stop()
        self.out = os.path.join(self.host.dir, "callgrind")
        for file in glob.glob(f"{self.out}.*"):
            os.remove(file)
        self.host.command = ["valgrind", "--tool=callgrind", "--smc-check=all",
                             "--trace-children=yes",
                             f"--callgrind-out-file={self.out}.%p", *self.host.command]
        self.host.start(SECONDS)
        self.wait_until_served("bench" if not endpoints else self.hook_ids[-1])
        self.client = Client(self.host.port)

    def wait_until_served(self, hook_id):
        """The port is open before the plugins are loaded."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                Client(self.host.port).whole(f"/e/{hook_id}/hello")
                return
            except Failed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def engine(self):
        binary = next(word for word in self.host.command if word.endswith("moonhook"))
        text = subprocess.run([binary, "version"], capture_output=True, text=True,
                              check=True).stdout
        return f"{platform.machine()}, {re.search(r'LuaJIT [^,]*(, JIT [a-z]+)?', text)[0]}"

    def control(self, order):
        for pid in self.host.pids():
            done = subprocess.run(["callgrind_control", order, str(pid)], capture_output=True,
                                  text=True, timeout=SECONDS)
            is_gone = not os.path.exists(f"/proc/{pid}")  # a trial load
            if not is_gone and (done.returncode != 0 or "OK" not in done.stdout):
                raise Failed(f"callgrind_control {order}: {done.stdout} {done.stderr}")

    def count(self, name):
        _, run, before, counted = WORKLOADS[name]
        run(self, before)
        self.control("-z")
        operations, older = run(self, counted), self.dumps()
        self.control("-d")
        counts = {}  # by file, one for each process
        for path in self.dumps() - older:
            with open(path, encoding="ascii", errors="replace") as file:
                counts[path] = sum(map(int, re.findall(r"^summary: (\d+)", file.read(), re.M)))
        if not sum(counts.values()):
            raise Failed("callgrind counted nothing")
        return sum(counts.values()) / operations, max(counts, key=counts.get)

    def dumps(self):
        return set(glob.glob(f"{self.out}.*.*"))

    def stop(self):
        self.host.process.send_signal(signal.SIGTERM)
        try:
            self.host.process.wait(SECONDS)
        finally:
            self.host.stop()


def top(file, operations_cost):
    """The twenty functions that cost most themselves, as shares."""
    text = subprocess.run(["callgrind_annotate", "--threshold=100", file],
                          capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^ *[\d,]+ \( *([\d.]+)%\) +[^:\n]*:(\S+)", text, re.M)
    # The frames that were open when counting began are listed with all that they called.
    rows = [(float(share), name) for share, name in rows if float(share) < 99.9][:20]
    for share, name in rows:
        print(f"{share:6.2f} % {share * operations_cost / 100:9,.0f}  {name}")


def limits_share(file):
    """The share of arming and disarming the limits, in percent."""
    text = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", "--inclusive=yes",
                           file], capture_output=True, text=True, check=True).stdout
    found = {}  # a function may be listed twice, by two names of its file
    for share, name in re.findall(r"^ *[\d,]+ \( *([\d.]+)%\) +[^:\n]*:(\S+)", text, re.M):
        found[name] = max(float(share), found.get(name, 0))
    return sum(found.get(name, 0) for name in ("slice_begin", "slice_end", "tick"))


def read_table():
    with open(TABLE, encoding="utf-8") as file:
        return json.load(file)


def write_table(table):
    with open(TABLE, "w", encoding="utf-8") as file:
        json.dump(table, file, indent=2, sort_keys=True)
        file.write("\n")


def count_all(names, endpoints, table, arguments):
    """Counts these workloads on one host; gives those that cost more than the table says."""
    bench, slower = Bench(endpoints), []
    try:
        engine = bench.engine()
        known = table.setdefault(engine, {})
        if not endpoints:
            print(f"instructions per operation; {engine}")
        for name in names:
            cost, file = bench.count(name)
            was = known.get(name)
            change = f"{100 * (cost / was - 1):+6.1f} % of {was:,}" if was else "not in the table"
            print(f"{name:20} {cost:12,.0f} per {WORKLOADS[name][0]:8} {change}", flush=True)
            if not arguments.write and (not was or cost > was * (1 + ALLOWED)):
                slower.append(name)
            if arguments.top:
                top(file, cost)
            if arguments.limits:
                print(f"{'':20} {limits_share(file):11.2f} % of it are the limits")
            if arguments.write:
                known[name] = round(cost)
    finally:
        bench.stop()
    return slower


def main():
    parser = argparse.ArgumentParser(prog="spec/bench/instructions.py")
    parser.add_argument("--only", help=",".join(WORKLOADS))
    parser.add_argument("--write", action="store_true", help="take what is counted as the table")
    parser.add_argument("--limits", action="store_true", help="what they cost")
    parser.add_argument("--top", help="a workload whose functions are listed")
    arguments = parser.parse_args()
    names = [arguments.top] if arguments.top else (arguments.only or ",".join(WORKLOADS)).split(",")
    unknown = set(names) - set(WORKLOADS)
    if unknown:
        parser.error("unknown: " + ", ".join(unknown))
    table, slower = read_table(), []
    for endpoints in (0, 1, 10000):
        part = [name for name in names if ENDPOINTS.get(name, 0) == endpoints]
        if part:
            slower += count_all(part, endpoints, table, arguments)
    if arguments.write:
        write_table(table)
    elif slower:
        print("over the table by more than 5 %, or not in it: " + ", ".join(slower))
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, peers.Unavailable, OSError, subprocess.SubprocessError) as why:
        sys.exit(f"instructions.py: {why}")
