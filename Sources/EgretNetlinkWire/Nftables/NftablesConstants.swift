// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Message types of nf_tables (`enum nf_tables_msg_types`), without the subsystem.
enum NftMessage {
    /// `NFT_MSG_NEWTABLE`.
    static let newTable: UInt16 = 0
    /// `NFT_MSG_GETTABLE`.
    static let getTable: UInt16 = 1
    /// `NFT_MSG_DELTABLE`.
    static let deleteTable: UInt16 = 2
    /// `NFT_MSG_NEWCHAIN`.
    static let newChain: UInt16 = 3
    /// `NFT_MSG_GETCHAIN`.
    static let getChain: UInt16 = 4
    /// `NFT_MSG_DELCHAIN`.
    static let deleteChain: UInt16 = 5
    /// `NFT_MSG_NEWRULE`.
    static let newRule: UInt16 = 6
    /// `NFT_MSG_GETRULE`.
    static let getRule: UInt16 = 7
    /// `NFT_MSG_DELRULE`.
    static let deleteRule: UInt16 = 8
    /// `NFT_MSG_NEWSET`.
    static let newSet: UInt16 = 9
    /// `NFT_MSG_GETSET`.
    static let getSet: UInt16 = 10
    /// `NFT_MSG_DELSET`.
    static let deleteSet: UInt16 = 11
    /// `NFT_MSG_NEWSETELEM`.
    static let newElements: UInt16 = 12
    /// `NFT_MSG_GETSETELEM`.
    static let getElements: UInt16 = 13
    /// `NFT_MSG_DELSETELEM`.
    static let deleteElements: UInt16 = 14
    /// `NFT_MSG_NEWGEN`.
    static let newGeneration: UInt16 = 15
    /// `NFT_MSG_GETGEN`.
    static let getGeneration: UInt16 = 16
    /// `NFT_MSG_TRACE`.
    static let trace: UInt16 = 17
    /// `NFT_MSG_NEWOBJ`.
    static let newObject: UInt16 = 18
    /// `NFT_MSG_GETOBJ`.
    static let getObject: UInt16 = 19
    /// `NFT_MSG_DELOBJ`.
    static let deleteObject: UInt16 = 20
    /// `NFNL_MSG_BATCH_BEGIN`, without a subsystem.
    static let batchBegin: UInt16 = 0x10
    /// `NFNL_MSG_BATCH_END`, without a subsystem.
    static let batchEnd: UInt16 = 0x11

    /// The full message type.
    static func type(_ message: UInt16) -> UInt16 {
        NfnetlinkSubsystem.nftables << 8 | message
    }
}

/// Attribute types of nf_tables (`linux/netfilter/nf_tables.h`), grouped by the enum that they come from.
enum Nfta {
    /// `enum nft_table_attributes`.
    enum Table {
        static let name: UInt16 = 1
        static let flags: UInt16 = 2
        static let use: UInt16 = 3
        static let handle: UInt16 = 4
        static let owner: UInt16 = 7
    }

    /// `enum nft_chain_attributes`.
    enum Chain {
        static let table: UInt16 = 1
        static let handle: UInt16 = 2
        static let name: UInt16 = 3
        static let hook: UInt16 = 4
        static let policy: UInt16 = 5
        static let use: UInt16 = 6
        static let type: UInt16 = 7
    }

    /// `enum nft_hook_attributes`.
    enum Hook {
        static let number: UInt16 = 1
        static let priority: UInt16 = 2
        static let device: UInt16 = 3
        static let devices: UInt16 = 4
    }

    /// `enum nft_rule_attributes`.
    enum Rule {
        static let table: UInt16 = 1
        static let chain: UInt16 = 2
        static let handle: UInt16 = 3
        static let expressions: UInt16 = 4
        static let userData: UInt16 = 7
    }

    /// `enum nft_set_attributes`.
    enum Set {
        static let table: UInt16 = 1
        static let name: UInt16 = 2
        static let flags: UInt16 = 3
        static let keyType: UInt16 = 4
        static let keyLength: UInt16 = 5
        static let dataType: UInt16 = 6
        static let dataLength: UInt16 = 7
        static let description: UInt16 = 9
        static let identifier: UInt16 = 10
        static let userData: UInt16 = 13
        static let handle: UInt16 = 16
    }

    /// `enum nft_set_elem_list_attributes`.
    enum ElementList {
        static let table: UInt16 = 1
        static let set: UInt16 = 2
        static let elements: UInt16 = 3
    }

    /// `enum nft_set_elem_attributes`.
    enum Element {
        static let key: UInt16 = 1
        static let data: UInt16 = 2
        static let flags: UInt16 = 3
        static let keyEnd: UInt16 = 10
    }

    /// `enum nft_data_attributes`.
    enum Data {
        static let value: UInt16 = 1
        static let verdict: UInt16 = 2
    }

    /// `enum nft_verdict_attributes`.
    enum Verdict {
        static let code: UInt16 = 1
        static let chain: UInt16 = 2
    }

    /// `enum nft_object_attributes`.
    enum Object {
        static let table: UInt16 = 1
        static let name: UInt16 = 2
        static let type: UInt16 = 3
        static let data: UInt16 = 4
        static let use: UInt16 = 5
        static let handle: UInt16 = 6
    }

    /// `enum nft_gen_attributes`.
    enum Generation {
        static let identifier: UInt16 = 1
        static let processID: UInt16 = 2
        static let processName: UInt16 = 3
    }

    /// `enum nft_trace_attributes`.
    enum Trace {
        static let table: UInt16 = 1
        static let chain: UInt16 = 2
        static let ruleHandle: UInt16 = 3
        static let type: UInt16 = 4
        static let verdict: UInt16 = 5
        static let identifier: UInt16 = 6
        static let networkHeader: UInt16 = 8
        static let transportHeader: UInt16 = 9
        static let inputInterface: UInt16 = 10
        static let outputInterface: UInt16 = 12
        static let mark: UInt16 = 14
        static let networkProtocol: UInt16 = 15
        static let policy: UInt16 = 16
        static let connectionState: UInt16 = 21
    }

    /// `NFTA_LIST_ELEM`.
    static let listElement: UInt16 = 1
}

/// Flags and codes of nf_tables that are values rather than attribute types.
enum NftValue {
    /// `NFT_SET_INTERVAL`.
    static let setIsInterval: UInt32 = 0x4
    /// `NFT_SET_MAP`.
    static let setIsMap: UInt32 = 0x8
    /// `NFT_SET_TIMEOUT`.
    static let setHasTimeouts: UInt32 = 0x10
    /// `NFT_SET_EVAL`.
    static let setIsDynamic: UInt32 = 0x20
    /// `NFT_SET_ELEM_INTERVAL_END`.
    static let elementIsIntervalEnd: UInt32 = 0x1
    /// `NFT_SET_ELEM_CATCHALL`.
    static let elementIsCatchAll: UInt32 = 0x2
    /// `NFT_DATA_VERDICT`.
    static let dataIsVerdict: UInt32 = 0xffff_ff00
    /// `NF_NAT_RANGE_MAP_IPS`.
    static let translatesAddress: UInt32 = 0x1
    /// `NF_NAT_RANGE_PROTO_SPECIFIED`.
    static let translatesPort: UInt32 = 0x2
    /// `NF_NAT_RANGE_PERSISTENT`.
    static let isPersistent: UInt32 = 0x8
    /// `NFT_OBJECT_COUNTER`.
    static let counterObject: UInt32 = 1
    /// `NFT_OBJECT_QUOTA`.
    static let quotaObject: UInt32 = 2
    /// `NFT_QUOTA_F_INV`: it matches when it is used up.
    static let quotaIsInverted: UInt32 = 1
    /// `NFT_QUOTA_F_DEPLETED`: it is used up.
    static let quotaIsDepleted: UInt32 = 2
    /// `NFT_OBJECT_LIMIT`.
    static let limitObject: UInt32 = 4
}
