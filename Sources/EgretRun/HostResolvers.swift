// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretLinux

/// The servers that the host asks about names.
public enum HostResolvers {
    /// Their addresses, as `/etc/resolv.conf` has them now; behind systemd-resolved's stub, the servers that it asks itself.
    public static func addresses() -> [IPAddress] { ResolverFile.nameservers(in: text()) }

    /// What `/etc/resolv.conf` says; empty if it cannot be read.
    static func text() -> String {
        let text = (try? File.readText("/etc/resolv.conf", limit: 1 << 20)) ?? ""
        let stub = ResolverFile.nameservers(in: text)
        guard stub == [IPAddress("127.0.0.53")].compactMap(\.self) else { return text }
        return (try? File.readText("/run/systemd/resolve/resolv.conf", limit: 1 << 20)) ?? text
    }
}
