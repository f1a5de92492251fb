// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretCompiler
import EgretDocuments
import EgretPolicy
import EgretResolution
import GRDB

extension Agent {
    /// A change, worked out.
    private struct Draft {
        var documents: [StoredDocument]
        var reading: PolicyReading
        var objects: [ChangeReport.ObjectChange]
        var warnings: [String]
    }

    /// Works out what a change would do, and changes nothing.
    public func plan(_ request: ApplyRequest) throws -> ChangeReport {
        let draft = try draft(request)
        return try report(draft)
    }

    private func report(_ draft: Draft) throws -> ChangeReport {
        var wanted = desired(draft.reading)
        wanted.refusesConflicts = true
        let preview = try enforcement.preview(wanted, at: now())
        return ChangeReport(
            objects: draft.objects,
            endpoints: preview.changed.map { item in
                let id = item.endpoint.endpoint.workload.id
                return ChangeReport.EndpointChange(
                    endpoint: id.description, egress: item.egress, ingress: item.ingress,
                    routes: preview.routes.contains(id) ? true : nil, limits: preview.limits.contains(id) ? true : nil,
                    budgets: preview.budgets.contains(id) ? true : nil,
                    cut: (preview.cut[id] ?? []).map(\.description).sorted())
            },
            warnings: draft.warnings)
    }

    /// Makes a change: all of it or nothing. On return the kernel enforces it.
    public func apply(_ request: ApplyRequest, author: String) throws -> ChangeReport {
        try refuseIfUnconfirmed()
        let start = ContinuousClock.now
        defer { latency.note(ContinuousClock.now - start) }
        let draft: Draft
        do {
            draft = try self.draft(request)
        } catch {
            throw noted(error, of: author)
        }
        return try put(draft, author: author, message: request.message, confirmWithin: request.confirmWithin)
    }

    /// Notes that a change is refused for what it asks for.
    private func noted(_ refusal: APIError, of author: String) -> APIError {
        lastFailure = refusal.message
        failures += 1
        log("a change by \(author) is refused: \(refusal.message)")
        return refusal
    }

    private func refuseIfUnconfirmed() throws(APIError) {
        guard let revision, revision.confirmBy != nil else { return }
        throw APIError(
            "conflict",
            "revision \(revision.number) waits for its confirmation for \(max(0, remaining(revision))) s more",
            advice: "keep it with egret confirm, or go back with egret rollback")
    }

    private func put(
        _ draft: Draft, author: String, message: String?, confirmWithin: Int? = nil,
        before predecessor: PolicyStore.Before = .current
    ) throws -> ChangeReport {
        let isFormer = predecessor != .current
        var report = ChangeReport(objects: draft.objects, warnings: draft.warnings)
        if draft.objects.isEmpty, hasTaken, let revision {
            // What feeds hold may be otherwise all the same.
            if draft.reading.catalog != reading.catalog {
                let before = enforced
                do {
                    // The groups of prices may be others.
                    hold(try enforce(draft.reading, isFormer: isFormer, &report.warnings), of: draft.reading)
                } catch {
                    throw undone(nil, error)
                }
                report.endpoints = Agent.changes(from: before, to: enforced)
            }
            report.revision = revision.number
            return report
        }
        let before = enforced
        let deadline = confirmWithin.map { Int(now()) + $0 }
        let confirmation = confirmWithin.map { ConfirmationDeadline(in: $0, by: clock) }
        var number: Int?
        do {
            let begun = try store.begin(
                draft.documents, time: Int(now()), author: author, message: message, confirmBy: deadline,
                deadline: confirmation, before: predecessor)
            number = begun
            let endpoints = try enforce(draft.reading, isFormer: isFormer, &report.warnings)
            // Budgets that cannot be kept are a failure of the change's.
            try hold(endpoints, budgetsOf: draft.reading.catalog)
            try store.commit(begun, former: isFormer ? .rolledBack : .superseded)
        } catch {
            throw undone(number, error)
        }
        try settle(draft)
        report.endpoints = Agent.changes(from: before, to: enforced)
        report.revision = number
        report.confirmBy = deadline
        log(
            "revision \(number ?? 0) by \(author): \(count(draft.objects.count, "object")), "
                + count(report.endpoints.count, "endpoint"))
        return report
    }

    /// Has in force what was read; limits that do not go together are refused if somebody waits who can mend them.
    private func enforce(
        _ reading: PolicyReading, refusingConflicts refusesConflicts: Bool = true
    ) throws -> [EnforcedEndpoint] {
        var wanted = desired(reading)
        wanted.refusesConflicts = refusesConflicts
        return hasTaken ? try enforcement.apply(wanted, at: now()) : try enforcement.take(to: wanted, at: now())
    }

    /// Has in force what was read. What was in force once is not refused: for endpoints that have come since limits may
    /// not go together, which is told and keeps nobody from going back.
    private func enforce(
        _ reading: PolicyReading, isFormer: Bool, _ warnings: inout [String]
    ) throws -> [EnforcedEndpoint] {
        if !isFormer { return try enforce(reading) }
        do {
            return try enforce(reading)
        } catch let conflict as RateTree.Conflict {
            warnings.append(
                "limits do not go together for endpoints that are here now, and for these the slowest holds until a change "
                    + "mends them: \(conflict)")
        }
        return try enforce(reading, refusingConflicts: false)
    }

    /// Notes what is in force now.
    private func settle(_ draft: Draft) throws {
        documents = draft.documents
        reading = draft.reading
        revision = try store.current()
        deadline = try revision.flatMap { try store.deadline(of: $0.number) }
        problem = nil
        lastFailure = nil
        let isFirst = !hasTaken
        if isFirst { names?.settle() }
        hasTaken = true
        // Questions for names wait for it.
        if isFirst { keepBudgets() }
        changes += 1
        fetchFeeds()
        traffic.keep(policies: Swift.Set(documents.flatMap(\.objects)))
        try source.note(hasPolicies: !documents.isEmpty)
    }

    /// Goes back to what was in force before a change that failed.
    private func undone(_ number: Int?, _ error: any Error) -> APIError {
        let failure = Agent.failure(error)
        log(failure.message)
        lastFailure = failure.message
        failures += 1
        if let number { try? store.fail(number, reason: "\(error)") }
        if !hasTaken {
            // What the kernel may have taken of it leads questions here, and no budgets are kept.
            names?.noteBudgets()
            return failure
        }
        do {
            hold(try enforcement.take(to: desired, at: now()))
        } catch {
            problem = "\(error)"
        }
        return failure
    }

    /// The endpoints whose generations differ; one that has several links once.
    static func changes(
        from old: [EnforcedEndpoint], to new: [EnforcedEndpoint]
    ) -> [ChangeReport.EndpointChange] {
        let (front, back) = old.commonEnds(with: new)
        let section = new[front..<(new.count - back)]
        let links = Dictionary(
            old[front..<(old.count - back)].map { (ResolvedState.Link($0.endpoint), $0) },
            uniquingKeysWith: { first, _ in first })
        var workloads: [Workload.ID: EnforcedEndpoint] = [:]
        if section.contains(where: { links[ResolvedState.Link($0.endpoint)] == nil }) {
            // A further link of a workload is no change of what it obeys.
            workloads = Dictionary(old.map { ($0.endpoint.workload.id, $0) }, uniquingKeysWith: { first, _ in first })
        }
        var changes: [ChangeReport.EndpointChange] = []
        var places: [Workload.ID: Int] = [:]
        for endpoint in section {
            let id = endpoint.endpoint.workload.id
            let former = links[ResolvedState.Link(endpoint.endpoint)] ?? workloads[id]
            guard let change = Agent.change(from: former, to: endpoint) else { continue }
            if let place = places[id] {
                changes[place].egress = changes[place].egress || change.egress
                changes[place].ingress = changes[place].ingress || change.ingress
                changes[place].routes = changes[place].routes ?? change.routes
                changes[place].limits = changes[place].limits ?? change.limits
                changes[place].budgets = changes[place].budgets ?? change.budgets
            } else {
                places[id] = changes.count
                changes.append(change)
            }
        }
        return changes
    }

    /// What becomes of a link; `nil` if nothing does.
    private static func change(
        from former: EnforcedEndpoint?, to endpoint: EnforcedEndpoint
    ) -> ChangeReport.EndpointChange? {
        let egress = former?.egressGeneration != endpoint.egressGeneration
        let ingress = former?.ingressGeneration != endpoint.ingressGeneration
        let (routes, limits) = (former?.routes != endpoint.routes, !endpoint.isLimited(as: former))
        let budgets = !endpoint.isBudgeted(as: former)
        if !egress && !ingress && !routes && !limits && !budgets { return nil }
        return ChangeReport.EndpointChange(
            endpoint: endpoint.endpoint.workload.id.description, egress: egress, ingress: ingress,
            routes: routes ? true : nil, limits: limits ? true : nil, budgets: budgets ? true : nil,
            generations: endpoint.generations)
    }

    static func failure(_ error: any Error) -> APIError {
        APIError(
            "failed", "the change could not be applied, and everything is as before: \(reason(of: error))",
            advice: "mend the cause, and apply it again")
    }

    /// What an error says to people: a database's without its statement.
    static func reason(of error: any Error) -> String { (error as? DatabaseError)?.message ?? "\(error)" }

    // MARK: - What a request asks for

    private func draft(_ request: ApplyRequest) throws(APIError) -> Draft {
        if let seconds = request.confirmWithin, !(1...86_400).contains(seconds) {
            throw APIError("invalid", "the time for confirming is 1 s to 24 h")
        }
        let (new, passedOver) = DocumentIndex.read(request.files, known: documents)
        var gone = Swift.Set(new.flatMap(\.objects))
        let deleted = request.delete ?? []
        let known = deleted.isEmpty ? [] : Swift.Set(documents.flatMap(\.objects))
        for object in deleted {
            guard known.contains(object) else {
                throw APIError(
                    "notFound", "there is no \(object)",
                    advice: Agent.object(meantBy: object, among: known.sorted()).map { "did you mean \($0)?" }
                        ?? "egret get policies shows what there is")
            }
            gone.insert(object)
        }
        if request.prune ?? false { gone.formUnion(pruned(request)) }
        for document in documents where document.objects.contains(where: gone.contains) {
            if let kept = document.objects.first(where: { !gone.contains($0) }) {
                throw APIError(
                    "conflict", "\(document.file):\(document.line) is a list that defines \(kept) too",
                    advice: "apply or delete all that the list defines, or apply it again without the rest")
            }
        }
        var draft = try draft(of: replacing(gone, by: new), passedOver: passedOver)
        draft.warnings += Agent.notes(onEmpty: request.files)
        if !hasTaken {
            draft.warnings.append(
                "\(Agent.lostStore): this change takes the place of all of them; apply at once all that is to hold")
        }
        return draft
    }

    /// A note on each file that holds no document.
    private static func notes(onEmpty files: [SourceFile]) -> [String] {
        let empty = files.filter { DocumentSplitter.split($0.text).isEmpty }
        return empty.map { DiagnosticFormatter.format(DocumentReader.nothing(in: $0.name, .warning)) }
    }

    /// The documents with new ones in the places of those whose objects they define, and the others behind.
    private func replacing(_ gone: Swift.Set<String>, by new: [StoredDocument]) -> [StoredDocument] {
        let successors = Dictionary(
            new.enumerated().flatMap { place, document in document.objects.map { ($0, place) } },
            uniquingKeysWith: { first, _ in first })
        var placed = Swift.Set<Int>()
        var all: [StoredDocument] = []
        all.reserveCapacity(documents.count + new.count)
        for document in documents {
            guard document.objects.contains(where: gone.contains) else {
                all.append(document)
                continue
            }
            let place = document.objects.lazy.compactMap { successors[$0] }.first
            if let place, placed.insert(place).inserted { all.append(new[place]) }
        }
        for (place, document) in new.enumerated() where !placed.contains(place) { all.append(document) }
        return all
    }

    private func draft(
        of all: [StoredDocument], passedOver: [String: Int] = [:], isNew: Bool = true
    ) throws(APIError) -> Draft {
        hasWorked = true
        let read = try PolicyReading(all, timeZones: timeZones, former: reading, isNew: isNew, feeds: feeds)
        var warnings = read.warnings + Agent.absentSources(read.catalog) + Agent.absentNodes(read)
        for (kind, count) in passedOver.sorted(by: { $0.key < $1.key }) {
            warnings.append(
                "\(count) of kind \(kind) passed over: the agent's workloads are the endpoints of this host's networks")
        }
        return Draft(
            documents: all, reading: read, objects: Agent.changes(from: documents, to: all), warnings: warnings)
    }

    /// The object that was probably meant by one that there is not: of the name, but of another kind or in a namespace; or
    /// the nearest.
    static func object(meantBy text: String, among known: [String]) -> String? {
        let end = "/\(text.split(separator: "/", maxSplits: 1).last ?? "")"
        return known.first { $0.hasSuffix(end) } ?? Spelling.nearest(to: text, among: known)
    }

    /// The objects that came from the files or directories of a request, and are in none of its files.
    private func pruned(_ request: ApplyRequest) -> [String] {
        let names = Swift.Set(request.files.map(\.name))
        let directories = (request.directories ?? []).map { $0.hasSuffix("/") ? $0 : $0 + "/" }
        return documents.filter { document in
            names.contains(document.file) || directories.contains { document.file.hasPrefix($0) }
        }.flatMap(\.objects)
    }

    static func changes(
        from old: [StoredDocument], to new: [StoredDocument]
    ) -> [ChangeReport.ObjectChange] {
        let texts = { (documents: [StoredDocument]) in
            Dictionary(
                documents.flatMap { document in document.objects.map { ($0, document.text) } },
                uniquingKeysWith: { first, _ in first })
        }
        let (front, back) = old.commonEnds(with: new)
        let before = texts(Array(old[front..<(old.count - back)]))
        let after = texts(Array(new[front..<(new.count - back)]))
        return Swift.Set(before.keys).union(after.keys).sorted().compactMap { object in
            switch (before[object], after[object]) {
            case (nil, _): ChangeReport.ObjectChange(object: object, change: "added")
            case (_, nil): ChangeReport.ObjectChange(object: object, change: "removed")
            case (let old, let new): old == new ? nil : ChangeReport.ObjectChange(object: object, change: "changed")
            }
        }
    }

    // MARK: - Going back

    /// Keeps the revision that waits for it.
    public func confirm() throws -> RevisionInfo {
        guard let revision, revision.confirmBy != nil, !isOverdue(revision) else {
            throw APIError("conflict", "nothing waits for a confirmation")
        }
        try store.confirm()
        self.revision = try store.current()
        log("revision \(revision.number) is confirmed")
        return self.revision ?? revision
    }

    /// Puts an earlier revision's documents in force again, as a new revision.
    ///
    /// Whoever goes back once more goes further back: to what was in force before that earlier revision.
    ///
    /// What cannot be read any more is refused. Limits that do not go together for endpoints that have come since are not:
    /// the report has a warning.
    public func rollback(to number: Int?, author: String) throws -> ChangeReport {
        guard let revision else { throw APIError("conflict", "there is nothing to go back from") }
        let target = try number ?? store.predecessor(of: revision.number)
        var old: [StoredDocument] = []
        if let target {
            guard let found = try store.revision(target), found.state != "failed" else {
                throw APIError(
                    "notFound", "there is no revision \(target) to go back to",
                    advice: "egret history shows which there are")
            }
            old = try store.documents(of: target)
        }
        let draft: Draft
        do {
            draft = try self.draft(of: old, isNew: false)
        } catch {
            throw noted(
                APIError(
                    error.code, "revision \(target ?? 0) cannot be read any more: \(error.message)",
                    advice:
                        "nothing was changed; put another one of egret history in force with egret rollback --to N, or "
                        + "apply what it had with the mistakes corrected: egret diff shows its text",
                    diagnostics: error.diagnostics), of: author)
        }
        return try put(
            draft, author: author, message: Agent.message(target), before: .revision(predecessor(of: target)))
    }

    /// Where going back from a revision leads, or from nothing.
    private func predecessor(of target: Int?) throws -> Int? { try target.flatMap { try store.predecessor(of: $0) } }

    private static func message(_ target: Int?) -> String {
        target.map { "back to revision \($0)" } ?? "back to nothing"
    }

    func isOverdue(_ revision: RevisionInfo) -> Bool { revision.confirmBy != nil && remaining(revision) <= 0 }

    /// How many seconds are left for confirming a revision.
    func remaining(_ revision: RevisionInfo) -> Int {
        if let deadline { return Int(deadline.remaining(by: clock)) }
        return revision.confirmBy.map { $0 - Int(now()) } ?? 0
    }

    /// Goes back from a change that nobody has confirmed: first the kernel, then the store, which may be what is in trouble.
    func rollBackIfOverdue() throws {
        guard let revision, isOverdue(revision) else { return }
        let target = try store.predecessor(of: revision.number)
        if let target, try store.revision(target) == nil {
            throw APIError(
                "failed",
                "revision \(revision.number) was not confirmed in time, and revision \(target), which was in force "
                    + "before, is not kept any more",
                advice: "egret history shows which there are, and egret rollback --to N puts one in force")
        }
        if !isBack {
            log("revision \(revision.number) was not confirmed in time")
            let old = try target.map { try store.documents(of: $0) } ?? []
            let draft = try draft(of: old, isNew: false)
            // For endpoints that have come since limits may not go together, and nobody waits to mend them.
            hold(try enforce(draft.reading, refusingConflicts: false), of: draft.reading)
            documents = draft.documents
            isBack = true
        }
        let number = try store.begin(
            documents, time: Int(now()), author: "the agent", message: Agent.message(target), confirmBy: nil,
            before: .revision(predecessor(of: target)))
        try store.commit(number, former: .rolledBack, reason: "not confirmed in time")
        isBack = false
        changes += 1
        self.revision = try store.current()
        deadline = nil
        problem = nil
        try source.note(hasPolicies: !documents.isEmpty)
    }
}
