// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables

/// What the routes of networks' endpoints need of the host besides its routing.
public protocol HostRouteRules {
    /// Brings the table to all that is in the program and nothing else, whatever it holds. What is there already stays;
    /// otherwise the table is made anew, and the other program, of the same table, is there meanwhile.
    func replace(with program: TableProgram, holding hold: TableProgram) throws
    /// Brings the table from one program to another.
    func change(_ difference: TableDifference, of table: Table) throws
    /// What of the program is otherwise in the kernel, in nft's words; empty if nothing is.
    func drift(of program: TableProgram) throws -> [String]
    /// Deletes a table; one that is not there will do.
    func remove(_ table: Table) throws
    /// Forgets the connections that have one of the labels.
    ///
    /// - Returns: How many there were.
    func forget(labelled labels: Swift.Set<UInt8>) throws -> Int
    /// Sees to it that answers come in by interfaces and are passed on, and puts back what others do not need any more.
    ///
    /// - Returns: The interfaces that forward a family for the sake of ways only.
    func open(_ interfaces: [InterfaceName]) throws -> [AddressFamily: [InterfaceName]]
    /// Keeps a text for whoever comes next, in place of what was kept; the empty one is not kept.
    func keep(_ notes: String) throws
    /// What was kept; empty if nothing was.
    func kept() throws -> String
}
