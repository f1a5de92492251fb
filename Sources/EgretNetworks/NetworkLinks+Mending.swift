// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire

extension NetworkLinks {
    /// Puts back one thing that is missing.
    ///
    /// Setting a link up or down brings and takes addresses and routes: what else is missing is to be asked anew.
    ///
    /// - Parameters:
    ///   - fault: What is missing; a link that is to be made anew, and a bridge, are the caller's to make.
    ///   - inside: A connection to the endpoint's namespace.
    /// - Throws: An error that says what the kernel refused.
    public func mend(_ fault: NetworkFault, inside: NetlinkConnection) throws {
        func at(_ end: NetworkFault.End) -> NetlinkConnection { end == .host ? connection : inside }
        switch fault.mend {
        case .remake, .bridge:
            throw NetworkProblem(fault.words)
        case .setUp(let end, let index):
            try at(end).setUp(index)
        case .rename(let end, let index, let name):
            try at(end).rename(index, to: name)
        case .setAddress(let end, let index, let text):
            guard let address = MACAddress(text: text) else { throw NetworkProblem("\(text) is no hardware address") }
            try at(end).request("give link \(index) its address") { sequence throws(WireError) in
                try RouteWire.setLink(index, address: address, sequence: sequence)
            }
        case .join(let index, let bridge):
            try setMaster(of: [index], to: bridge)
        case .add(let end, let address, let length, let index):
            try at(end).add(address, length: Int(length), to: index)
        case .take(let end, let address, let length, let index):
            try at(end).request("take address \(address)/\(length)") { sequence throws(WireError) in
                try RouteWire.deleteAddress(address, prefixLength: length, link: index, sequence: sequence)
            }
        case .route(let end, let route, let others):
            for other in others {
                try at(end).request("delete route to \(other.destination)") { sequence throws(WireError) in
                    try RouteWire.deleteRoute(other, sequence: sequence)
                }
            }
            try at(end).add(route)
        case .lead(let rule):
            try inside.add(rule)
        case .unlead(let rule, let routes):
            try inside.remove(rule)
            for route in routes { try inside.remove(route) }
        }
    }

    /// Gives a link another name.
    ///
    /// - Parameters:
    ///   - index: The link's.
    ///   - name: Its new name.
    /// - Throws: An error that says what the kernel refused.
    public func rename(_ index: UInt32, to name: String) throws {
        try connection.rename(index, to: name)
    }
}

extension NetlinkConnection {
    /// Older kernels rename only links that are down.
    fileprivate func rename(_ index: UInt32, to text: String) throws {
        guard let name = InterfaceName(text) else { throw NetworkProblem("\(text) is no name of an interface") }
        func change() throws(NetlinkError) {
            try request("rename link \(index)") { sequence throws(WireError) in
                try RouteWire.setLink(index, name: name, sequence: sequence)
            }
        }
        do throws(NetlinkError) {
            try change()
        } catch {
            guard error.code == .busy else { throw error }
            try request("set link \(index) down") { sequence throws(WireError) in
                try RouteWire.setLink(index, up: false, sequence: sequence)
            }
            try change()
            try setUp(index)
        }
    }
}
