// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
public import EgretNftables

/// Times come and go with the calendar: a program whose times are others is the same program.
extension TablePicture {
    /// A program with the times that the kernel has in the sets of its table: for comparing everything else.
    ///
    /// - Parameter program: The program.
    /// - Returns: The program with the elements of the kernel's sets of these names, none where there is no such set.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func withPresentTimes(_ program: TableProgram) throws(NetlinkError) -> TableProgram {
        var present = program
        for place in present.sets.indices where present.sets[place].keyType == .time {
            present.sets[place].contents = .elements(try elements(of: present.sets[place].name, in: program.table))
        }
        return present
    }

    /// What puts a program's times in the place of those that the kernel has.
    ///
    /// - Parameter program: The program, whose sets are there.
    /// - Returns: The steps for one transaction; none where the times are the program's.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func renewal(ofTimesOf program: TableProgram) throws(NetlinkError) -> [Transaction.Step] {
        program.renewal(ofTimesOf: try withPresentTimes(program))
    }
}
