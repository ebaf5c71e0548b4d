"""What this host alone is asked: two workers, relayed streams that are silent, plugins that never
end beside one that does, a thousand plugins."""

import os
import re
import resource
import subprocess
import time

import measure
import peers
from measure import Failed
from peers import Host, Unavailable

LOOPS, PLUGINS = 64, 1000
THIRD_CORE = 2  # that no server runs on

LOOPING = {
    "manifest.yaml": "version: 0.1.0\ntype: plugin\nauthor: moonhook\nname: looping\n"
                     "plugins:\n  endpoints:\n"
                     "    - { path: /loop, method: GET, extra: { lua: { source: loop.lua } } }\n",
    "loop.lua": "return function() while true do end end\n",
}


def small(number):
    return {
        "manifest.yaml": f"version: 0.1.0\ntype: plugin\nauthor: moonhook\nname: small_{number}\n"
                         "plugins:\n  endpoints:\n"
                         "    - { path: /hello, method: GET, extra: { lua: { source: hello.lua } } }"
                         "\n",
        "hello.lua": 'return function()\n  return "Hello, world!\\n"\nend\n',
    }


def add_plugin(host, name, files):
    folder = os.path.join(host.plugins_dir, name)
    os.makedirs(folder)
    for file, text in files.items():
        with open(os.path.join(folder, file), "w", encoding="ascii") as out:
            out.write(text)
    with open(f"{host.dir}/moonhook.yaml", "a", encoding="ascii") as config:
        config.write(f"  - {{ plugin: {name}, hook_id: bench-{name.replace('_', '-')} }}\n")


class Pair(Host):
    """Two workers, on the core of the load, too."""
    name, workers = "moonhook-2", 2
    cores = f"{peers.SERVER_CORE},{peers.LOAD_CORE}"


class Looping(Host):
    name = "moonhook-looping"
    plugins = {"loop": "/e/bench-looping/loop"}

    def set_up(self):
        super().set_up()
        add_plugin(self, "looping", LOOPING)


class Thousand(Host):
    name = "moonhook-1000"

    def set_up(self):
        super().set_up()
        for number in range(PLUGINS):
            add_plugin(self, f"small_{number}", small(number))


def workers_of(host):
    """The workers' pids, from the log."""
    with open(host.log, encoding="utf-8") as log:
        found = re.findall(r'"msg":"process started","process":"worker \d+","pid":(\d+)',
                           log.read())
    return [int(pid) for pid in found]


def ready(host, path, seconds=60):
    """Waits until the path is answered with 200."""
    deadline = time.monotonic() + seconds
    url = f"http://127.0.0.1:{host.port}{path}"
    while subprocess.run(["curl", "-s", "--fail", "-o", "/dev/null", url]).returncode != 0:
        if time.monotonic() > deadline:
            raise Unavailable(f"{path} is not answered: {peers.tail(host.log)}")
        time.sleep(0.01)


def open_sockets(pid):
    count = 0
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def measure_pair(one, seconds):
    """The rate of two workers beside that of `one` with one, where the handler computes, so that
    the load, which runs on a core of theirs, needs next to nothing; and how 64 connections were
    split. Where there is a third core for the load, the rate of hello, too; else None."""
    alone = measure.run_wrk(one, "compute", seconds)["rate"]
    has_third = os.cpu_count() > THIRD_CORE
    hello = has_third and measure.run_wrk(one, "hello", seconds, core=THIRD_CORE)["rate"]
    pair = Pair(one.upstream_port)
    pair.set_up()
    pair.start()
    try:
        ready(pair, pair.path("compute"))
        pids = workers_of(pair)
        before = [open_sockets(pid) for pid in pids]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        load = measure.wrk(pair, "compute", seconds)
        time.sleep(seconds / 2)
        held = sorted(open_sockets(pid) - was for pid, was in zip(pids, before))
        together = measure.wrk_result("compute", load)["rate"]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if has_third:
            hello = measure.run_wrk(pair, "hello", seconds, core=THIRD_CORE)["rate"] / hello
    finally:
        pair.stop()
    share = (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) / seconds
    return {"ratio": together / alone, "split": held, "load_share": share, "hello": hello or None}


def measure_held(upstream_port, count):
    """Resident bytes for each relayed stream that has sent an event and is silent then."""
    host = Host(upstream_port)
    host.set_up()
    host.start()
    try:
        ready(host, host.path("hello"))
        measure.measure_idle(host, count // 10, "held")
        return measure.measure_idle(host, count, "held")
    finally:
        host.stop()


def measure_looping(upstream_port, seconds):
    """The p99 of hello in ms beside LOOPS requests to a plugin that never ends by itself; none of
    hello's requests may fail."""
    host = Looping(upstream_port)
    host.set_up()
    host.start()
    try:
        ready(host, host.path("hello"))
        loops = measure.wrk(host, "loop", seconds + 2, conns=LOOPS)
        time.sleep(1)
        found = measure.run_wrk(host, "hello", seconds, conns=8)
        loops.communicate()
        return found["p99"] / 1000
    finally:
        host.stop()


def measure_thousand(upstream_port):
    """Starts with PLUGINS more plugins, for the first time and again: seconds until the last one
    answers; and the worker's resident bytes."""
    host, times = Thousand(upstream_port), []
    host.set_up()
    for _ in range(2):
        started = time.monotonic()
        host.start(60)
        try:
            for number in (0, PLUGINS - 1):
                ready(host, f"/e/bench-small-{number}/hello")
            times.append(time.monotonic() - started)
            resident = max(measure.resident_of(pid) for pid in workers_of(host))
        finally:
            host.stop()
    if not resident:
        raise Failed("no worker was found")
    return times, resident
