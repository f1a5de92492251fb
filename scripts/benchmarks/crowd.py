# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Many endpoints of one network, without a namespace for each."""

import json

from measure import run


def crowd(namespace, path, numbers, describe):
    """Endpoints like a network's first, whose links lead nowhere, by the file that the network is kept in.

    `describe` gives what an endpoint has of its own from its number and the first one: namespace, addresses, identity.
    """
    lines = [f"link add bn{n} address 02:00:00:00:{n >> 8:02x}:{n & 255:02x} type ifb\n" for n in numbers]
    run("ip", "-n", namespace, "-batch", "-", input="".join(lines), text=True)
    links = json.loads(run("ip", "-n", namespace, "-j", "link", capture_output=True, text=True).stdout)
    found = {link["ifname"]: (link["ifindex"], link.get("address")) for link in links}
    record = json.loads(path.read_text())
    first = record["endpoints"][0]
    for n in numbers:
        index, address = found[f"bn{n}"]
        record["endpoints"].append(dict(
            first, cookie=1 << 40 | n, hostInterface=f"bn{n}", hostIndex=index, hostHardwareAddress=address,
            hardwareAddress=f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}", **describe(n, first)))
    path.write_text(json.dumps(record))
