"""What the servers that are compared have in common, and the host itself; the peers are in servers.py.

Everything lives in build/bench; nothing is installed. A server that cannot be set up raises
Unavailable with the reason.
"""

import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = "spec/bench"
OUT = os.path.abspath("build/bench")
SERVER_CORE, LOAD_CORE = 0, 1


class Unavailable(Exception):
    """Says why a peer cannot be measured."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill(template, path, **values):
    """Copies a template, putting values in for @NAMES@."""
    with open(template, encoding="utf-8") as file:
        text = re.sub("@([A-Z]+)@", lambda match: str(values[match[1].lower()]), file.read())
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def start(command, cores, log, environment=None):
    """Starts a command on a core or some, as the leader of a process group of its own."""
    with open(log, "wb") as output:
        return subprocess.Popen(
            ["taskset", "-c", str(cores), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(environment or {})}, start_new_session=True)


def tail(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        return " / ".join(file.read().splitlines()[-3:])


def wait_for_port(process, port, log, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unavailable(f"it ended with {process.returncode}: {tail(log)}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Unavailable(f"it does not listen after {seconds} s: {tail(log)}")


class Peer:
    """One server. Subclasses give a name and set self.command in set_up."""

    environment = None
    lacks = {}  # workloads that it cannot do: why
    only = None  # the workloads that it is for; None: all
    cores = str(SERVER_CORE)

    def __init__(self, upstream_port):
        self.upstream_port = upstream_port
        self.port = free_port()
        self.dir = os.path.join(OUT, self.name)
        self.log = os.path.join(self.dir, "log")
        self.process = None
        os.makedirs(self.dir, exist_ok=True)

    def path(self, workload):
        """Where a workload's handler is."""
        return "/" + workload

    def start(self, seconds=10):
        self.process = start(self.command, self.cores, self.log, self.environment)
        wait_for_port(self.process, self.port, self.log, seconds)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None

    def pids(self):
        """The server's process and all its children."""
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    queue += map(int, file.read().split())
            except FileNotFoundError:
                pass
        return found


class Unpacked(Peer):
    """A server from the distribution's packages, unpacked into its folder. They are not installed:
    they would start services, and nginx's LuaJIT conflicts with the one that others need."""

    packages = []
    unpacked = None  # another one with the same packages

    def unpack(self):
        """Fetches the packages and what they need that the machine has not; gives their folder."""
        folder = os.path.join(OUT, self.unpacked or self.name)
        root = os.path.join(folder, "root")
        if os.path.exists(os.path.join(root, "complete")):
            return root
        if not shutil.which("apt-get"):
            raise Unavailable("no apt-get to fetch its packages with")
        debs = os.path.join(folder, "debs")
        for old in (debs, root):
            shutil.rmtree(old, ignore_errors=True)
        os.makedirs(os.path.join(debs, "partial"))
        fetch = subprocess.run(
            ["apt-get", "--quiet", "--quiet", "--yes", "--download-only", "--reinstall",
             "--no-install-recommends", "-o", f"Dir::Cache::archives={debs}",
             "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root", "install",
             *self.packages], capture_output=True, text=True)
        if fetch.returncode != 0:
            raise Unavailable("apt-get: " + " ".join(fetch.stderr.split("\n")[:2]))
        for deb in glob.glob(f"{debs}/*.deb"):
            subprocess.run(["dpkg", "-x", deb, root], check=True)
        with open(os.path.join(root, "complete"), "w", encoding="ascii"):
            return root

    def library_path(self, root):
        """Where the unpacked libraries are, for LD_LIBRARY_PATH."""
        return ":".join(folder for folder in (*glob.glob(f"{root}/usr/lib/*-linux-gnu"),
                                              *glob.glob(f"{root}/lib/*-linux-gnu")))


class Host(Peer):
    name = "moonhook"
    plugins = {"chat": "/e/bench-service/pink/talk", "embeddings": "/e/bench-openai/v1/embeddings"}
    workers = 1

    def path(self, workload):
        return self.plugins.get(workload) or "/e/bench/" + workload

    def set_up(self):
        shutil.rmtree(os.path.join(self.dir, "data"), ignore_errors=True)
        self.plugins_dir = os.path.join(self.dir, "plugins")  # copies, which may be changed
        self.plugin = os.path.join(self.plugins_dir, "bench")
        shutil.rmtree(self.plugins_dir, ignore_errors=True)
        shutil.copytree("plugins", self.plugins_dir)
        shutil.copytree(f"{HERE}/plugin", self.plugin)
        with open(os.path.join(self.dir, "key"), "w", encoding="ascii",
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("the-bench-has-no-secrets\n")
        binary = os.path.abspath(os.environ.get("MOONHOOK_BIN", "build/moonhook"))
        self.admin_port = free_port()
        config = fill(f"{HERE}/moonhook.yaml", f"{self.dir}/moonhook.yaml", port=self.port,
                      admin=self.admin_port, upstream=self.upstream_port,
                      plugins=self.plugins_dir, workers=self.workers)
        self.command = [binary, "serve", "--config", config, "--log-format", "json"]

    def allow_time(self, cpu_ms):
        """Lets each plugin compute that long, for a host that is slowed down."""
        for manifest in glob.glob(f"{self.plugins_dir}/*/manifest.yaml"):
            with open(manifest, "a", encoding="utf-8") as file:
                file.write(f"limits: {{ cpu_ms: {cpu_ms} }}\n")
        self.environment = {"MOONHOOK_LIMITS_PLUGIN_CPU_MS": str(cpu_ms),
                            "MOONHOOK_LIMITS_STUCK_MS": str(10 * cpu_ms)}

    def add_endpoints(self, count):
        """Makes endpoints of the bench's plugin by the admin API; gives their hook ids."""
        key_file, deadline = os.path.join(self.dir, "data", "admin.key"), time.monotonic() + 10
        while not os.path.exists(key_file) and time.monotonic() < deadline:
            time.sleep(0.02)  # the ports are open before the key is made
        with open(key_file, encoding="ascii") as file:
            headers = {"Authorization": "Bearer " + file.read().strip(),
                       "Content-Type": "application/json"}
        admin, hook_ids = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60), []
        for number in range(count):
            body = json.dumps({"plugin": "moonhook/bench", "name": f"endpoint {number}"})
            admin.request("POST", "/api/v1/endpoints", body, headers)
            reply = admin.getresponse()
            text = reply.read()
            if reply.status != 201:
                raise Unavailable(f"an endpoint was answered with {reply.status}: {text[:200]}")
            hook_ids.append(json.loads(text)["hook_id"])
        return hook_ids

    def version(self):
        return subprocess.run([self.command[0], "version"], capture_output=True, text=True,
                              check=True).stdout.strip().splitlines()[0]
