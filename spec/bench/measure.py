"""What is measured of one server: CPU time, memory, rates, delays."""

import json
import os
import re
import subprocess
import time

import peers

CONNS = 64  # of hello and JSON


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


def resident_bytes(peer):
    total = 0
    for pid in peer.pids():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += int(re.search(r"VmRSS:\s*(\d+)", file.read())[1]) * 1024
    return total


def url(peer, path):
    return f"http://127.0.0.1:{peer.port}{peer.prefix}{path}"


def check_reply(peer, path, body=None):
    """One request before the load: a fast wrong reply must not count."""
    command = ["curl", "-sS", "--fail", "--max-time", "10", url(peer, path)]
    if body:
        command += ["-H", "Content-Type: application/json", "--data-binary", body]
    reply = subprocess.run(command, capture_output=True, text=True)
    if reply.returncode != 0:
        raise Failed(f"{path}: {reply.stderr.strip()}")
    return reply.stdout


def check_hello(peer):
    if check_reply(peer, "/hello") != "Hello, world!\n":
        raise Failed("/hello: another text came")


def check_json(peer):
    order = json.loads(check_reply(peer, "/json", f"@{peers.HERE}/order.json"))
    if len(order["items"]) != 8 or abs(order["total"] - 118.74) > 0.001:
        raise Failed("/json: another order came")


def run_wrk(peer, path, seconds, script=None):
    """Keep-alive requests by wrk; gives a measurement."""
    command = ["taskset", "-c", str(peers.LOAD_CORE), "wrk", "--latency", "-t1", f"-c{CONNS}",
               f"-d{seconds}s", *(["-s", script] if script else []), url(peer, path)]
    before = cpu_ns(peer)
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_ns(peer) - before
    count, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    if "Non-2xx" in text or "Socket errors" in text or int(count) == 0:
        raise Failed(f"{path}: " + " ".join(text.split()))
    delays = {}
    for share in ("50", "99"):
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)\b", text).groups()
        delays["p" + share] = float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    return {"cpu_us": used / 1000 / int(count), "rate": int(count) / float(took), **delays}


def run_streams(peer, path, seconds, conns, events):
    """Streams by load.c; an operation is an event."""
    command = ["taskset", "-c", str(peers.LOAD_CORE), f"{peers.OUT}/load", "stream",
               str(peer.port), peer.prefix + path, str(conns), str(seconds), str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as load:
        load.stdout.readline()  # "started"
        before = cpu_ns(peer)
        line = load.stdout.readline()
        used = cpu_ns(peer) - before
        talk = load.stderr.read()
    result = json.loads(line) if line else {"events": 0, "errors": 0}
    if result["events"] == 0 or result["errors"]:
        raise Failed(f"{path}: {result['errors']} broken streams of {result['events']} events "
                     f"{talk.strip()}")
    delays = result["delay_us"]
    return {"cpu_us": used / 1000 / result["events"], "rate": result["events"] / result["seconds"],
            "p50": delays["p50"] or None, "p99": delays["p99"] or None}


def measure_idle(peer, count):
    """Resident bytes per idle stream: what `count` of them add."""
    before = resident_bytes(peer)
    with subprocess.Popen(["taskset", "-c", str(peers.LOAD_CORE), f"{peers.OUT}/load", "idle",
                           str(peer.port), peer.prefix + "/idle", str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as load:
        if load.stdout.readline().strip() != "ready":
            raise Failed("/idle: " + load.stderr.read().strip())
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
             peer.prefix + "/hello", *peer.command],
            capture_output=True, text=True, env={**os.environ, **(peer.environment or {})})
        if load.returncode != 0:
            raise Failed(load.stderr.strip()[-300:])
        found.append(float(load.stdout.split()[-1]))
    return sorted(found)
