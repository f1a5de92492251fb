// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// The steps of a child laid out for C, with all the memory they point to.
///
/// Everything is allocated before the fork and freed after the child has reported; the child gets a copy.
@safe
final class ChildProgram {
    private(set) var steps: [egret_step] = []
    private var allocations: [UnsafeMutableRawPointer] = unsafe []
    /// Copies of the caller's descriptors whose numbers the steps give to others.
    private var movedAway: [Int32: Descriptor] = [:]

    init(_ operations: [ChildOperation]) throws(LinuxError) {
        try moveAway(operations)
        steps.reserveCapacity(operations.count)
        for operation in operations {
            steps.append(lay(operation))
        }
    }

    /// A step that puts a descriptor onto a number must not take it from under a later step that names the caller's
    /// descriptor of that number. So those are copied out of the way, before the fork.
    private func moveAway(_ operations: [ChildOperation]) throws(LinuxError) {
        let wanted = Set(operations.compactMap(\.numberTaken))
        guard let highest = wanted.max() else { return }
        for descriptor in operations.compactMap(\.descriptorNamed) where wanted.contains(descriptor.number) {
            guard movedAway[descriptor.number] == nil else { continue }
            let copy = egret_duplicate(descriptor.number, highest &+ 1)
            movedAway[descriptor.number] = Descriptor(
                owning: try check(copy, "duplicate descriptor", "\(descriptor.number)"))
        }
    }

    private func number(_ descriptor: Descriptor) -> Int64 {
        Int64(movedAway[descriptor.number]?.number ?? descriptor.number)
    }

    deinit {
        while let allocation = unsafe allocations.popLast() { unsafe allocation.deallocate() }
    }

    private func step(_ kind: egret_step_kind, _ numbers: Int64..., pointers: UnsafeRawPointer?...) -> egret_step {
        var step = egret_step()
        step.kind = kind.rawValue
        func number(_ index: Int) -> Int64 { index < numbers.count ? numbers[index] : 0 }
        step.number = (number(0), number(1), number(2), number(3), number(4))
        func pointer(_ index: Int) -> UnsafeRawPointer? { unsafe index < pointers.count ? pointers[index] : nil }
        unsafe step.pointer = (pointer(0), pointer(1), pointer(2), pointer(3))
        return step
    }
}

// MARK: - Memory

extension ChildProgram {
    private func copy<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeRawPointer {
        let size = max(elements.count, 1) * MemoryLayout<Element>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        unsafe elements.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { unsafe memory.copyMemory(from: base, byteCount: bytes.count) }
        }
        unsafe allocations.append(memory)
        return UnsafeRawPointer(memory)
    }

    private func text(_ text: String?) -> UnsafeRawPointer? {
        guard let text else { return nil }
        return unsafe copy(NativeString(text).bytes + [0])
    }

    /// A NULL-terminated array of C strings; `first` leaves a slot for the child to fill after the first string.
    private func vector(_ strings: [NativeString], slotAfterFirst: Bool = false) -> UnsafeRawPointer {
        var pointers: [UnsafeRawPointer?] = unsafe strings.map { unsafe copy($0.bytes + [0]) }
        if slotAfterFirst { unsafe pointers.insert(nil, at: min(1, pointers.count)) }
        unsafe pointers.append(nil)
        let size = unsafe pointers.count * MemoryLayout<UnsafeRawPointer?>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        unsafe pointers.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { unsafe memory.copyMemory(from: base, byteCount: bytes.count) }
        }
        unsafe allocations.append(memory)
        return UnsafeRawPointer(memory)
    }
}

// MARK: - Steps

extension ChildProgram {
    private func lay(_ operation: ChildOperation) -> egret_step {
        switch operation {
        case .join(let namespace):
            unsafe step(
                EGRET_STEP_SET_NAMESPACE, number(namespace.descriptor), Int64(namespace.kind.bit.rawValue))
        case .joinNamespaces(let kinds, let process):
            unsafe step(EGRET_STEP_SET_NAMESPACE, number(process), Int64(kinds.rawValue))
        case .unshare(let kinds):
            unsafe step(EGRET_STEP_UNSHARE, Int64(kinds.rawValue))
        case .mount(let source, let target, let type, let flags, let data):
            unsafe step(
                EGRET_STEP_MOUNT, Int64(bitPattern: flags.rawValue),
                pointers: text(source), text(target), text(type), text(data))
        case .ignoreSetUserID(let path):
            unsafe step(EGRET_STEP_IGNORE_SET_USER_ID, pointers: text(path))
        case .unmount(let target, let detach):
            unsafe step(EGRET_STEP_UNMOUNT, detach ? Int64(egret_mnt_detach) : 0, pointers: text(target))
        default:
            layFile(operation)
        }
    }

    private func layFile(_ operation: ChildOperation) -> egret_step {
        switch operation {
        case .makeDirectory(let path, let mode):
            unsafe step(EGRET_STEP_MAKE_DIRECTORY, Int64(mode), pointers: text(path))
        case .changeOwner(let path, let user, let group):
            unsafe step(EGRET_STEP_CHANGE_OWNER, Int64(user), Int64(group), pointers: text(path))
        case .makeSymbolicLink(let path, let destination):
            unsafe step(EGRET_STEP_MAKE_SYMLINK, pointers: text(destination), text(path))
        case .writeFile(let path, let bytes, let mode):
            unsafe step(
                EGRET_STEP_WRITE_FILE, Int64(mode), Int64(bytes.count),
                Int64(egret_o_wronly | egret_o_creat | egret_o_trunc), pointers: text(path), copy(bytes))
        case .writeExistingFile(let path, let bytes):
            unsafe step(
                EGRET_STEP_WRITE_FILE, 0, Int64(bytes.count), Int64(egret_o_wronly), pointers: text(path), copy(bytes))
        case .open(let path, let flags, let mode, let number):
            unsafe step(EGRET_STEP_OPEN, Int64(number), Int64(flags.rawValue), Int64(mode), pointers: text(path))
        case .changeDirectory(let path):
            unsafe step(EGRET_STEP_CHANGE_DIRECTORY, pointers: copy(path.bytes + [0]))
        case .changeDirectoryTo(let directory):
            unsafe step(EGRET_STEP_CHANGE_DIRECTORY_TO, number(directory))
        case .duplicate(let descriptor, let onto):
            unsafe step(EGRET_STEP_DUPLICATE, number(descriptor), Int64(onto))
        case .closeDescriptors(let range):
            unsafe step(EGRET_STEP_CLOSE_RANGE, Int64(range.lowerBound), Int64(range.upperBound), 0)
        case .closeOnExecute(let range):
            unsafe step(EGRET_STEP_CLOSE_RANGE, Int64(range.lowerBound), Int64(range.upperBound), 1)
        default:
            layProcess(operation)
        }
    }

    private func layProcess(_ operation: ChildOperation) -> egret_step {
        switch operation {
        case .setHostName(let name):
            unsafe step(EGRET_STEP_SET_HOST_NAME, Int64(NativeString(name).bytes.count), pointers: text(name))
        case .startSession:
            unsafe step(EGRET_STEP_START_SESSION)
        case .setProcessGroup(let group):
            unsafe step(EGRET_STEP_SET_PROCESS_GROUP, Int64(group))
        case .claimTerminal(let terminal):
            unsafe step(EGRET_STEP_CLAIM_TERMINAL, number(terminal))
        case .takeTerminal(let terminal):
            unsafe step(EGRET_STEP_TAKE_TERMINAL, number(terminal))
        case .dieWithParent(let signal):
            unsafe step(EGRET_STEP_DIE_WITH_PARENT, Int64(signal.rawValue))
        case .setLimit(let resource, let soft, let hard):
            unsafe step(
                EGRET_STEP_SET_LIMIT, Int64(resource.rawValue), Int64(bitPattern: soft), Int64(bitPattern: hard))
        case .setCreationMask(let mask):
            unsafe step(EGRET_STEP_SET_CREATION_MASK, Int64(mask))
        case .resetSignals(let ignored, let blocked):
            unsafe step(
                EGRET_STEP_RESET_SIGNALS, Int64(bitPattern: ignored.rawValue), Int64(bitPattern: blocked.rawValue))
        case .awaitByte(let descriptor):
            unsafe step(EGRET_STEP_AWAIT_BYTE, number(descriptor))
        case .sendByte(let descriptor):
            unsafe step(EGRET_STEP_SEND_BYTE, number(descriptor), 0)
        case .execute(let command):
            unsafe step(
                EGRET_STEP_EXECUTE,
                pointers: vector(command.candidates), vector(command.arguments), vector(command.environment.entries),
                vector(["/bin/sh"] + command.arguments.dropFirst(), slotAfterFirst: true))
        case .becomeInit:
            unsafe step(EGRET_STEP_BECOME_INIT)
        case .exit(let code):
            unsafe step(EGRET_STEP_EXIT, Int64(code))
        default:
            layCredentials(operation)
        }
    }

    private func layCredentials(_ operation: ChildOperation) -> egret_step {
        switch operation {
        case .forbidNewPrivileges:
            unsafe step(EGRET_STEP_PROCESS_CONTROL, Int64(egret_pr_set_no_new_privs), 1)
        case .setDumpable(let isDumpable):
            unsafe step(EGRET_STEP_PROCESS_CONTROL, Int64(egret_pr_set_dumpable), isDumpable ? 1 : 0)
        case .setSecureBits(let bits):
            unsafe step(EGRET_STEP_PROCESS_CONTROL, Int64(egret_pr_set_securebits), Int64(bitPattern: bits))
        case .dropBoundingCapabilities(let kept):
            unsafe step(EGRET_STEP_DROP_BOUNDING, Int64(bitPattern: kept.rawValue))
        case .clearAmbientCapabilities:
            unsafe step(EGRET_STEP_CLEAR_AMBIENT)
        case .setCapabilities(let effective, let permitted, let inheritable):
            unsafe step(
                EGRET_STEP_SET_CAPABILITIES, Int64(bitPattern: effective.rawValue),
                Int64(bitPattern: permitted.rawValue), Int64(bitPattern: inheritable.rawValue))
        case .setGroups(let groups):
            unsafe step(EGRET_STEP_SET_GROUPS, Int64(groups.count), pointers: copy(groups))
        case .setGroup(let group):
            unsafe step(EGRET_STEP_SET_GROUP, Int64(group))
        case .setUser(let user):
            unsafe step(EGRET_STEP_SET_USER, Int64(user))
        case .installFilter(let instructions):
            unsafe step(
                EGRET_STEP_INSTALL_FILTER, Int64(instructions.count),
                pointers: copy(
                    instructions.map { instruction in
                        egret_bpf_instruction(
                            code: instruction.code, jump_true: instruction.jumpTrue, jump_false: instruction.jumpFalse,
                            value: instruction.value)
                    }))
        default:
            preconditionFailure("every operation has its step")
        }
    }
}
