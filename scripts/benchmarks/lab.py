# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The namespaces that are measured in."""

import json
import pathlib
import subprocess
import tempfile

from measure import PREFIX, run


class Lab:
    def __init__(self, options):
        self.bin = pathlib.Path(options.bin).resolve()
        self.tool = self.bin / "egret-bench"
        self.egret = self.bin / "egret"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="egret-bench-"))
        self.namespaces = []
        self.children = []
        self.sections = []

    # Namespaces

    def add_namespace(self, name):
        run("ip", "netns", "add", name)
        self.namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def connect(self, left, left_name, left_address, right, right_name, right_address):
        run("ip", "link", "add", left_name, "netns", left, "type", "veth", "peer", "name", right_name, "netns", right)
        for name, link, address in ((left, left_name, left_address), (right, right_name, right_address)):
            run("ip", "-n", name, "addr", "add", address, "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()
        for name in self.namespaces:
            run("ip", "netns", "del", name, check=False)
        run("rm", "-rf", self.directory)

    def background(self, command):
        child = subprocess.Popen([str(w) for w in command], stdout=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def remove_leftovers(self):
        names = run("ip", "netns", "list", capture_output=True, text=True).stdout.split("\n")
        for name in names:
            if name.startswith(PREFIX):
                run("ip", "netns", "del", name.split()[0])

    def tool_json(self, *arguments, namespace=None):
        command = ["unshare", "-n"] if namespace is None else ["ip", "netns", "exec", namespace]
        output = run(*command, self.tool, *arguments, capture_output=True, text=True).stdout
        return json.loads(output)
