"""The peers: nginx with Lua, haproxy with Lua, node, werkzeug on gevent, and the least in C."""

import getpass
import glob
import grp
import os
import re
import shutil
import subprocess

from peers import HERE, SERVER_CORE, Peer, Unavailable, Unpacked, Host, fill


class Nginx(Unpacked):
    name = "nginx-lua"
    lacks = {"greedy": "the first computing stream lets no other request in"}
    packages = ["nginx", "libnginx-mod-http-lua", "lua-cjson"]
    log_format = "combined"

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
                      assets=os.path.abspath(f"{HERE}/plugin/_assets"),
                      format=self.log_format, port=self.port, upstream=self.upstream_port)
        self.environment = {"LD_LIBRARY_PATH": self.library_path(root)}
        self.command = [f"{root}/usr/sbin/nginx", "-p", self.dir, "-c", config]

    def version(self):
        return subprocess.run([self.command[0], "-v"], capture_output=True, text=True, check=True,
                              env={**os.environ, **self.environment}).stderr.strip()


class NginxJsonLog(Nginx):
    """nginx that writes of a request what the host writes: four times as many bytes."""
    name, unpacked, only = "nginx-lua-json-log", "nginx-lua", {"hello"}
    log_format = "record"


class Haproxy(Unpacked):
    name = "haproxy-lua"
    packages = ["haproxy", "lua-cjson"]
    lacks = {
        "relay": "its Lua sockets stall when events come in bursts",
        "chat": "its Lua sockets stall when events come in bursts",
        "embeddings": "its Lua has no floats as bytes in base64 and no client that pools",
        "greedy": "no generator that computes between events",
    }

    def set_up(self):
        root = self.unpack()
        self.environment = {"LD_LIBRARY_PATH": self.library_path(root)}
        self.command = [f"{root}/usr/sbin/haproxy", "-vv"]
        lua = re.search(r"Lua (5\.\d)", self.output("-vv"))
        modules = glob.glob(f"{root}/usr/lib/*/lua/{lua[1]}/cjson.so") if lua else []
        if not modules:
            raise Unavailable("no cjson for its Lua in its packages")
        config = fill(f"{HERE}/haproxy/haproxy.cfg", f"{self.dir}/haproxy.cfg", port=self.port,
                      here=os.path.abspath(f"{HERE}/haproxy"), user=getpass.getuser())
        self.environment = {
            "LD_LIBRARY_PATH": self.library_path(root), "UPSTREAM_PORT": str(self.upstream_port),
            "LUA_CPATH": modules[0].replace("cjson.so", "?.so"),
            "ASSETS": os.path.abspath(f"{HERE}/plugin/_assets"),
        }
        self.command = [f"{root}/usr/sbin/haproxy", "-W", "-f", config]

    def version(self):
        return " ".join(self.output("-v").split()[:3])

    def output(self, flag):
        return subprocess.run([self.command[0], flag], capture_output=True, text=True, check=True,
                              env={**os.environ, **self.environment}).stdout


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


class Werkzeug(Unpacked):
    name = "werkzeug"
    packages = ["python3-werkzeug", "python3-gevent"]
    python = "/usr/bin/python3"  # the packages are for this one

    def set_up(self):
        root = self.unpack()
        if not os.path.exists(self.python):
            raise Unavailable(f"no {self.python}")
        self.environment = {
            "PYTHONPATH": f"{root}/usr/lib/python3/dist-packages",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": self.library_path(root),
        }
        self.command = [self.python, f"{HERE}/werkzeug/server.py", str(self.port),
                        str(self.upstream_port)]

    def version(self):
        code = ("import gevent, sys; from importlib.metadata import version; "
                "print('werkzeug', version('werkzeug'), 'gevent', gevent.__version__, 'python', "
                "sys.version.split()[0])")
        return subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True,
                              env={**os.environ, **self.environment}).stdout.strip()


class Bare(Peer):
    """libuv and llhttp and nothing else: hello only."""
    name, only = "bare C", {"hello"}

    def set_up(self):
        binary = os.path.join(self.dir, "bare")
        flags = subprocess.run("pkg-config --cflags --libs libuv", shell=True, capture_output=True,
                               text=True, check=True).stdout.split()
        own = ["-Ibuild/deps", "build/deps/libllhttp.a"]
        llhttp = own if os.path.exists(own[1]) else ["-lllhttp"]
        done = subprocess.run(["cc", "-O2", "-std=c11", "-D_GNU_SOURCE", "-o", binary,
                               f"{HERE}/bare.c", *llhttp, *flags], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(" ".join(done.stderr.split())[:300])
        self.command = [binary, str(self.port)]

    def version(self):
        return "libuv " + subprocess.run(["pkg-config", "--modversion", "libuv"], check=True,
                                         capture_output=True, text=True).stdout.strip()


PEERS = {peer.name: peer for peer in (Host, Bare, Nginx, NginxJsonLog, Haproxy, Node, Werkzeug)}
