"""The servers that are compared: how each is set up, started and stopped.

Everything lives in build/bench; nothing is installed by this file. A server that cannot be set up
raises Unavailable with the reason.
"""

import getpass
import glob
import grp
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


def start(command, core, log, environment=None):
    """Starts a command on a core, as the leader of a process group of its own."""
    with open(log, "wb") as output:
        return subprocess.Popen(
            ["taskset", "-c", str(core), *command],
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

    prefix = ""  # of every path
    environment = None

    def __init__(self, upstream_port):
        self.upstream_port = upstream_port
        self.port = free_port()
        self.dir = os.path.join(OUT, self.name)
        self.log = os.path.join(self.dir, "log")
        self.process = None
        os.makedirs(self.dir, exist_ok=True)

    def start(self, seconds=10):
        self.process = start(self.command, SERVER_CORE, self.log, self.environment)
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


class Host(Peer):
    name = "moonhook"
    prefix = "/e/bench"

    def set_up(self):
        shutil.rmtree(os.path.join(self.dir, "data"), ignore_errors=True)
        with open(os.path.join(self.dir, "key"), "w", encoding="ascii",
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("the-bench-has-no-secrets\n")
        binary = os.path.abspath(os.environ.get("MOONHOOK_BIN", "build/moonhook"))
        config = fill(f"{HERE}/moonhook.yaml", f"{self.dir}/moonhook.yaml", port=self.port,
                      upstream=self.upstream_port, root=os.getcwd())
        self.command = [binary, "serve", "--config", config, "--log-format", "json"]

    def version(self):
        return subprocess.run([self.command[0], "version"], capture_output=True, text=True,
                              check=True).stdout.strip().splitlines()[0]


class Nginx(Peer):
    name = "nginx-lua"
    packages = ["nginx", "libnginx-mod-http-lua", "libnginx-mod-http-ndk", "libluajit2-5.1-2",
                "lua-resty-core", "lua-resty-lrucache", "lua-cjson"]

    def unpack(self):
        """Unpacks Debian's packages. libluajit2-5.1-2 conflicts with LuaJIT's own package, so they
        are not installed."""
        root = os.path.join(self.dir, "root")
        if os.path.exists(os.path.join(root, "complete")):
            return root
        if not shutil.which("apt-get"):
            raise Unavailable("no apt-get to fetch its packages with")
        debs = os.path.join(self.dir, "debs")
        shutil.rmtree(debs, ignore_errors=True)
        os.makedirs(debs)
        fetch = subprocess.run(["apt-get", "download", "-o", "APT::Sandbox::User=root",
                                *self.packages], cwd=debs, capture_output=True, text=True)
        if fetch.returncode != 0:
            raise Unavailable("apt-get download: " + " ".join(fetch.stderr.split("\n")[:2]))
        for deb in glob.glob(f"{debs}/*.deb"):
            subprocess.run(["dpkg", "-x", deb, root], check=True)
        with open(os.path.join(root, "complete"), "w", encoding="ascii"):
            return root

    def set_up(self):
        root = self.unpack()
        libraries = glob.glob(f"{root}/usr/lib/*/libluajit-5.1.so.2")
        if not libraries:
            raise Unavailable("no libluajit-5.1.so.2 in its packages")
        libraries = os.path.dirname(libraries[0])
        user = f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
        config = fill(f"{HERE}/nginx/nginx.conf", f"{self.dir}/nginx.conf",
                      modules=f"{root}/usr/lib/nginx/modules", dir=self.dir, user=user,
                      affinity=1 << SERVER_CORE, lua=f"{root}/usr/share/lua/5.1",
                      here=os.path.abspath(f"{HERE}/nginx"), cpath=f"{libraries}/lua/5.1/?.so",
                      port=self.port, upstream=self.upstream_port)
        self.environment = {"LD_LIBRARY_PATH": libraries}
        self.command = [f"{root}/usr/sbin/nginx", "-p", self.dir, "-c", config]

    def version(self):
        return subprocess.run([self.command[0], "-v"], capture_output=True, text=True, check=True,
                              env={**os.environ, **self.environment}).stderr.strip()


class Node(Peer):
    name = "node"

    def set_up(self):
        binary = shutil.which("node")
        if not binary:
            raise Unavailable("node is not installed (package nodejs)")
        self.command = [binary, f"{HERE}/node/server.mjs", str(self.port), str(self.upstream_port)]

    def version(self):
        return "node " + subprocess.run([self.command[0], "--version"], capture_output=True,
                                        text=True, check=True).stdout.strip()


PEERS = {peer.name: peer for peer in (Host, Nginx, Node)}
