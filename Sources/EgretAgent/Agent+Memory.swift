// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

extension Agent {
    /// Gives memory back that a change, its plan, a comparison or a reading of many counters has needed: all policies at once
    /// take several times as much as is kept of them, and the allocator keeps what is free between what is in use. Where nothing
    /// of the kind was done, all is given back already, and looking for more only costs time. It is done twice: when it is done
    /// first, answers may be on their way and others' threads at work still.
    func returnMemory(at uptime: Int64) {
        guard hasWorked || returnsMore, uptime - lastReturn >= 5 else { return }
        lastReturn = uptime
        returnsMore = hasWorked
        hasWorked = false
        CurrentProcess.returnFreeMemory()
    }
}
