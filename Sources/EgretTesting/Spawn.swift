// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Starts a program with an empty signal mask and default handlers, in a process group of its own; `descriptors`
/// become its standard input, output and error.
func spawn(_ arguments: [String], environment: [String: String]?, descriptors: [Int32]) throws(LabError) -> pid_t {
    guard let program = arguments.first else { throw LabError("starting a program", reason: "no program named") }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (target, descriptor) in descriptors.enumerated() {
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(target))
    }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe posix_spawnattr_setsigmask(&attributes, &mask)
    unsafe sigfillset(&mask)
    unsafe posix_spawnattr_setsigdefault(&attributes, &mask)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

    let variables = environment.map { $0.map { "\($0.key)=\($0.value)" }.sorted() }
    var process: pid_t = 0
    let result = unsafe withCStrings(arguments) { arguments in
        guard let variables else {
            return unsafe posix_spawnp(&process, program, &actions, &attributes, arguments, environ)
        }
        return unsafe withCStrings(variables) { variables in
            unsafe posix_spawnp(&process, program, &actions, &attributes, arguments, variables)
        }
    }
    guard result == 0 else {
        let advice = "scripts/install-dependencies installs what the lab needs"
        throw LabError("starting \(program)", reason: describe(errno: result), advice: advice)
    }
    return process
}

/// Replaces this process by a program found on `PATH`; returns only on failure.
///
/// - Throws: ``LabError``, always: a call that succeeds does not return.
public func replaceProcess(with arguments: [String], environment: [String: String] = [:]) throws(LabError) -> Never {
    guard let program = arguments.first else { throw LabError("starting a program", reason: "no program named") }
    for (name, value) in environment { unsafe setenv(name, value, 1) }
    let code = unsafe withCStrings(arguments) { arguments in
        unsafe execvp(program, arguments)
        return errno
    }
    throw LabError("starting \(program)", reason: describe(errno: code))
}

/// Calls `body` with the null-terminated array of C strings that `exec` and `posix_spawn` want.
private func withCStrings<Result>(
    _ strings: [String],
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    let count = strings.count
    let array = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() {
        unsafe (array + index).initialize(to: strdup(string))
    }
    unsafe (array + count).initialize(to: nil)
    defer {
        for index in 0..<count { unsafe free(array[index]) }
        unsafe array.deinitialize(count: count + 1)
        unsafe array.deallocate()
    }
    return unsafe body(array)
}

/// The words of `strerror(3)` for an error number.
func describe(errno code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}
