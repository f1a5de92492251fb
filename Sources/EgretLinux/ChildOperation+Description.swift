// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension ChildOperation {
    /// The step as a verb phrase and its object, for errors.
    var phrase: (operation: String, object: String) {
        switch self {
        case .join(let namespace): ("enter namespace", namespace.kind.rawValue)
        case .joinNamespaces: ("enter the namespaces of", "a process")
        case .unshare: ("make namespaces", "")
        case .mount(let source, let target, let type, _, _): ("mount", "\(source ?? type ?? "none") on \(target)")
        case .unmount(let target, _): ("unmount", target)
        case .makeDirectory(let path, _): ("make directory", path)
        case .ignoreSetUserID(let path): ("ignore set-user-ID bits below", path)
        case .changeOwner(let path, _, _): ("change the owner of", path)
        case .makeSymbolicLink(let path, _): ("make symbolic link", path)
        case .writeFile(let path, _, _), .writeExistingFile(let path, _): ("write", path)
        case .open(let path, _, _, _): ("open", path)
        case .changeDirectory(let path): ("change directory to", path.description)
        case .changeDirectoryTo(let directory): ("change directory to descriptor", "\(directory.number)")
        case .setHostName(let name): ("set host name", name)
        case .startSession: ("start a session", "")
        case .setProcessGroup(let group): ("enter process group", group == 0 ? "of its own" : "\(group)")
        case .claimTerminal(let terminal): ("claim the terminal", "on descriptor \(terminal.number)")
        case .takeTerminal(let terminal): ("take the terminal", "on descriptor \(terminal.number)")
        case .duplicate(let descriptor, let onto): ("duplicate descriptor", "\(descriptor.number) onto \(onto)")
        case .closeDescriptors(let range), .closeOnExecute(let range): ("close descriptors", "\(range)")
        default: credentialPhrase
        }
    }

    private var credentialPhrase: (operation: String, object: String) {
        switch self {
        case .forbidNewPrivileges: ("forbid new privileges", "")
        case .setDumpable: ("set the dumpable flag", "")
        case .dieWithParent(let signal): ("ask to die with the parent", "by \(signal)")
        case .dropBoundingCapabilities: ("drop bounding capabilities", "")
        case .clearAmbientCapabilities: ("clear ambient capabilities", "")
        case .setCapabilities: ("set capabilities", "")
        case .setSecureBits: ("set securebits", "")
        case .setGroups(let groups): ("set groups", groups.map(String.init).joined(separator: ","))
        case .setGroup(let group): ("set group", "\(group)")
        case .setUser(let user): ("set user", "\(user)")
        case .setLimit(let resource, _, _): ("set resource limit", "\(resource.rawValue)")
        case .setCreationMask: ("set the file creation mask", "")
        case .resetSignals: ("reset signals", "")
        case .installFilter: ("install the seccomp filter", "")
        case .awaitByte(let descriptor): ("wait on descriptor", "\(descriptor.number)")
        case .sendByte(let descriptor): ("write to descriptor", "\(descriptor.number)")
        case .execute(let command): ("run", command.program.description)
        case .becomeInit: ("become the init of a namespace", "")
        case .exit: ("exit", "")
        default: ("", "")
        }
    }
}

extension ChildOperation {
    /// The caller's descriptor that the step uses, if it does.
    var descriptorNamed: Descriptor? {
        switch self {
        case .join(let namespace): namespace.descriptor
        case .joinNamespaces(_, let descriptor), .changeDirectoryTo(let descriptor), .claimTerminal(let descriptor),
            .takeTerminal(let descriptor), .duplicate(let descriptor, _), .awaitByte(let descriptor),
            .sendByte(let descriptor):
            descriptor
        default: nil
        }
    }

    /// The descriptor number that the step fills, if it does.
    var numberTaken: Int32? {
        switch self {
        case .duplicate(_, let number), .open(_, _, _, let number): number
        default: nil
        }
    }
}
