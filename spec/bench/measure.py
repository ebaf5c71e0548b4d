"""What is measured of one server: CPU time, memory, rates, delays."""

import base64
import json
import os
import re
import signal
import struct
import subprocess
import time

import peers

CONNS = 64  # of requests
GREEDY_STREAMS = 4
ORDER, TEXTS = f"{peers.HERE}/order.json", f"{peers.HERE}/texts.json"


class Failed(Exception):
    """The load could not be made, or replies were wrong."""


def cpu_ns(peer):
    """CPU time of all threads of all processes of a server, user and system."""
    total = 0
    for pid in peer.pids():
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
            except FileNotFoundError:
                pass
    return total


def resident_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s*(\d+)", file.read())[1]) * 1024


def resident_bytes(peer):
    return sum(map(resident_of, peer.pids()))


def url(peer, workload):
    return f"http://127.0.0.1:{peer.port}{peer.path(workload)}"


def ask(peer, workload, body_file=None):
    """One request before the load: a fast wrong reply must not count."""
    command = ["curl", "-sS", "--fail", "--max-time", "10", url(peer, workload)]
    if body_file:
        command += ["-H", "Content-Type: application/json", "-H", "Authorization: Bearer bench",
                    "--data-binary", f"@{body_file}"]
    reply = subprocess.run(command, capture_output=True)
    if reply.returncode != 0:
        raise Failed(f"{workload}: {reply.stderr.decode().strip()}")
    return reply.stdout


def check_hello(peer):
    if ask(peer, "hello") != b"Hello, world!\n":
        raise Failed("hello: another text came")


def check_json(peer):
    order = json.loads(ask(peer, "json", ORDER))
    if len(order["items"]) != 8 or abs(order["total"] - 118.74) > 0.001:
        raise Failed("json: another order came")


def check_asset(peer):
    with open(f"{peers.HERE}/plugin/_assets/page.css", "rb") as file:
        if ask(peer, "asset") != file.read():
            raise Failed("asset: another file came")


def check_embeddings(peer):
    vectors = json.loads(ask(peer, "embeddings", TEXTS))["data"]
    if len(vectors) != 100 or vectors[99]["embedding"] != vectors[99]["embedding"].strip("[]"):
        raise Failed("embeddings: other vectors came")
    first = struct.unpack("<384f", base64.b64decode(vectors[0]["embedding"]))
    if abs(first[0] + 0.050025) > 1e-7:
        raise Failed("embeddings: another number came")


def wrk(peer, workload, seconds, body_file=None, conns=CONNS, core=peers.LOAD_CORE):
    command = ["taskset", "-c", str(core), "wrk", "--latency", "-t1", f"-c{conns}",
               "--timeout", "10s", f"-d{seconds}s", url(peer, workload)]
    if body_file:
        command[-1:-1] = ["-s", f"{peers.HERE}/post.lua"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "BENCH_BODY": body_file or ""})


def wrk_result(workload, process):
    """What wrk printed, in numbers."""
    text = process.communicate()[0]
    count, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    if "Non-2xx" in text or "Socket errors" in text or int(count) == 0:
        raise Failed(f"{workload}: " + " ".join(text.split()))
    delays = {}
    for share in ("50", "99"):
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)\b", text).groups()
        delays["p" + share] = float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    return {"count": int(count), "rate": int(count) / float(took), **delays}


def run_wrk(peer, workload, seconds, body_file=None, conns=CONNS, core=peers.LOAD_CORE):
    """Keep-alive requests by wrk; gives a measurement."""
    before = cpu_ns(peer)
    found = wrk_result(workload, wrk(peer, workload, seconds, body_file, conns, core))
    return {"cpu_us": (cpu_ns(peer) - before) / 1000 / found["count"], **found}


def run_streams(peer, workload, seconds, conns, events, body=None):
    """Streams by load.c; an operation is an event."""
    command = ["taskset", "-c", str(peers.LOAD_CORE), f"{peers.OUT}/load", "stream",
               str(peer.port), peer.path(workload), str(conns), str(seconds), str(events),
               *([body] if body else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as load:
        load.stdout.readline()  # "started"
        before = cpu_ns(peer)
        line = load.stdout.readline()
        used = cpu_ns(peer) - before
        talk = load.stderr.read()
    result = json.loads(line) if line else {"events": 0, "errors": 0}
    if result["events"] == 0 or result["errors"]:
        raise Failed(f"{workload}: {result['errors']} broken streams of {result['events']} events "
                     f"{talk.strip()}")
    delays = result["delay_us"]
    return {"cpu_us": used / 1000 / result["events"], "rate": result["events"] / result["seconds"],
            "p50": delays["p50"] or None, "p99": delays["p99"] or None}


def measure_idle(peer, count, workload="idle"):
    """Resident bytes per idle stream: what `count` of them add."""
    before = resident_bytes(peer)
    with subprocess.Popen(["taskset", "-c", str(peers.LOAD_CORE), f"{peers.OUT}/load", "idle",
                           str(peer.port), peer.path(workload), str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as load:
        if load.stdout.readline().strip() != "ready":
            raise Failed(f"{workload}: " + load.stderr.read().strip())
        time.sleep(0.5)
        after = resident_bytes(peer)
        load.stdin.close()
        load.wait()
    return (after - before) / count


def measure_cold_start(peer, runs):
    """Milliseconds from the start of the process to the first byte of the first reply; sorted."""
    found = []
    for _ in range(runs):
        load = subprocess.run(
            ["taskset", "-c", str(peers.LOAD_CORE), f"{peers.OUT}/load", "cold", str(peer.port),
             peer.path("hello"), *peer.command],
            capture_output=True, text=True, env={**os.environ, **(peer.environment or {})})
        if load.returncode != 0:
            raise Failed(load.stderr.strip()[-300:])
        found.append(float(load.stdout.split()[-1]))
    return sorted(found)


def measure_greedy(peer, seconds):
    """The p99 of hello in ms, alone and beside streams whose generators compute."""
    alone = run_wrk(peer, "hello", seconds, conns=8)["p99"]
    with subprocess.Popen(["taskset", "-c", str(peers.LOAD_CORE), f"{peers.OUT}/load", "hold",
                           str(peer.port), peer.path("greedy"), str(GREEDY_STREAMS)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as load:
        if load.stdout.readline().strip() != "ready":
            raise Failed("greedy: " + load.stderr.read().strip())
        beside = run_wrk(peer, "hello", seconds, conns=8)["p99"]
        load.stdin.close()
        load.wait()
    return alone / 1000, beside / 1000


def measure_reload(peer, seconds):
    """Requests while the plugin is changed and read again ten times a second; none may fail."""
    source, count = f"{peer.plugin}/hello.lua", 0
    with open(source, encoding="utf-8") as file:
        text = file.read()
    load = wrk(peer, "hello", seconds)
    while load.poll() is None:
        count += 1
        with open(source, "w", encoding="utf-8") as file:
            file.write(f"{text}-- {count}\n")
        peer.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
    return {**wrk_result("hello", load), "reloads": count}
