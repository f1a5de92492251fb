// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

/// Which way a packet goes along its connection (`IP_CT_DIR_*` in
/// `linux/netfilter/nf_conntrack_tuple_common.h`).
enum Direction: UInt128 {
    case original = 0
    case reply = 1

    var statement: Statement { .equal(.connectionDirection, rawValue) }
}

/// What kind of address a destination is (`RTN_*` in `linux/rtnetlink.h`).
enum AddressType: UInt128 {
    case local = 2
    case multicast = 5
}

extension Table {
    /// Egret's table for packets.
    static var egret: Table { Table(family: .inet, name: "egret") }
    /// Egret's table for frames.
    static var egretFrames: Table { Table(family: .netdev, name: "egret") }
}
