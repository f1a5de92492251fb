// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An object of a manifest that runs something: a pod, or what makes pods after a template.
struct ManifestWorkload {
    /// Which object.
    private struct Key: Hashable {
        var namespace: String
        var kind: String
        var name: String
    }

    var workload: Workload
    /// What the object belongs to, if it says so.
    var owners: [ObjectMetadata.Owner]

    private var isPod: Bool { workload.id.kind == "Pod" }

    private var key: Key { Key(namespace: workload.id.namespace, kind: workload.id.kind, name: workload.id.name) }

    /// The workloads that objects stand for, each once.
    ///
    /// A pod is a workload of its own. What makes pods is one workload for all of them, unless a pod that it made is
    /// there too: then the pods are. What belongs to another maker that is there (a ReplicaSet to a Deployment, a
    /// Job to a CronJob) is not counted again.
    static func merged(_ objects: [ManifestWorkload]) -> [Workload] {
        var byKey: [Key: ManifestWorkload] = [:]
        for object in objects { byKey[object.key] = object }
        var left: Set<Key> = []
        for object in objects {
            var seen: Set<Key> = [object.key]
            var next = object.ownerKeys(byKey)
            while let owner = next.popLast() {
                guard seen.insert(owner).inserted, let maker = byKey[owner] else { continue }
                // Of a pod, every maker above it stands for the same; of a maker, it stands for itself no more.
                left.insert(object.isPod ? owner : object.key)
                next += maker.ownerKeys(byKey)
            }
        }
        return objects.filter { !left.contains($0.key) }.map(\.workload)
    }

    /// The makers of the object: those it names, and where it names a ReplicaSet or Job that is not there, the
    /// Deployment or CronJob that such a name comes from.
    private func ownerKeys(_ objects: [Key: ManifestWorkload]) -> [Key] {
        owners.flatMap { owner -> [Key] in
            let key = Key(namespace: workload.id.namespace, kind: owner.kind, name: owner.name)
            if objects[key] != nil { return [key] }
            let maker = ["ReplicaSet": "Deployment", "Job": "CronJob"][owner.kind]
            guard let maker, let hyphen = owner.name.lastIndex(of: "-") else { return [key] }
            let suffix = owner.name[owner.name.index(after: hyphen)...]
            let isDerived =
                owner.kind == "Job"
                ? suffix.utf8.allSatisfy { (0x30...0x39).contains($0) }
                : workload.labels["pod-template-hash"].map { $0 == suffix } ?? false
            guard isDerived else { return [key] }
            return [Key(namespace: key.namespace, kind: maker, name: String(owner.name[..<hyphen]))]
        }
    }
}
