// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI

/// What the agent's API offers.
///
/// Every function answers when what it did is in force, and durable. What is refused is an `APIError`; anything else that is
/// thrown is a fault of the agent's or the machine's.
public protocol AgentService: Sendable {
    /// Works out what a change would do, and changes nothing.
    func plan(_ request: ApplyRequest) async throws -> ChangeReport
    /// Makes a change: all of it or nothing. On return the kernel enforces it.
    ///
    /// - Parameters:
    ///   - request: The change.
    ///   - author: Who asks, for the history: `uid 0, pid 4711 (egret)`.
    /// - Returns: What has changed.
    /// - Throws: `APIError` for what is refused. Everything is then as before.
    func apply(_ request: ApplyRequest, author: String) async throws -> ChangeReport
    /// Keeps the revision that waits for it.
    func confirm() async throws -> RevisionInfo
    /// Puts an earlier revision's documents in force again, as a new revision.
    ///
    /// - Parameters:
    ///   - number: The revision; `nil` for what was in force before the present documents came.
    ///   - author: Who asks, for the history.
    /// - Returns: What has changed.
    /// - Throws: `APIError` for what is refused. Everything is then as before.
    func rollback(to number: Int?, author: String) async throws -> ChangeReport
    /// All revisions that are kept, the latest first.
    func history() async throws -> [RevisionInfo]
    /// What the second revision has otherwise than the first.
    func difference(from old: Int, to new: Int) async throws -> RevisionDifference
    /// The documents of a revision as they were written; `nil` for the revision in force.
    func documents(of revision: Int?) async throws -> [SourceFile]
    /// The policies and groups in force.
    func policies() async throws -> [PolicyInfo]
    /// The endpoints; with a name, those that have it.
    func endpoints(named name: String?) async throws -> [EndpointInfo]
    /// The addresses of a group that its feed holds, one block in each line.
    func list(ofGroup name: String) async throws -> String
    /// The flows that the kernel has told of.
    func flows(_ query: FlowQuery) async throws -> FlowList
    /// What is used of budgets in their present periods.
    func budgetStates() async throws -> [BudgetInfo]
    /// Changes what may be used of budgets in the present period. On return the kernel knows.
    func change(_ change: BudgetChange, author: String) async throws -> [BudgetInfo]
    /// What was used, summed.
    func usage(_ query: UsageQuery) async throws -> [UsageRow]
    /// What the present month has come to by price lists, and what it will by its end.
    func costs() async throws -> [CostInfo]
    /// How the agent is.
    func status() async throws -> AgentStatus
    /// Reads the endpoints of networks again; on return the kernel enforces the policies for all of them.
    func synchronize() async throws -> AgentStatus
    /// Holds a namespace to policies that somebody else has connected. On return the kernel does.
    func attach(_ request: AttachRequest) async throws -> [EndpointInfo]
    /// Lets go of a namespace that was attached.
    func detach(_ name: String) async throws -> AgentStatus
    /// Figures for monitoring, in the Prometheus text format, version 0.0.4.
    func metrics() async throws -> String
}
