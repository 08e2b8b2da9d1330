/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that the programs and the agent share: struct layouts, map shapes, numbers. The TypeScript side is
 * helper/src/enforce/ebpf/layout.ts; a test compares the two through the object's BTF.
 *
 * Raise WARDLINE_LAYOUT_VERSION with any change of a map's shape or of the meaning of what is in one. The agent keeps
 * each layout in a bpffs directory of its own and never adopts another's.
 */
#ifndef WARDLINE_H
#define WARDLINE_H

#include <linux/types.h>

#define WARDLINE_LAYOUT_VERSION 4

/* Same numbers as `Direction` in the tables: one bit. */
#define WARDLINE_INGRESS 0
#define WARDLINE_EGRESS 1

/* Decisions taken before any policy: BUILTIN_DECISIONS in domain/src/policy/program.ts. Never renumber. */
enum wardline_builtin {
	WARDLINE_DECISION_NONE = 0,
	WARDLINE_DECISION_LOOPBACK = 1,
	WARDLINE_DECISION_NEIGHBOR_DISCOVERY = 2,
	WARDLINE_DECISION_PATH_MTU = 3,
	WARDLINE_DECISION_MALFORMED = 4,
	WARDLINE_DECISION_FRAGMENT = 5,
	WARDLINE_DECISION_EXTENSION_HEADER = 6,
	WARDLINE_DECISION_NOT_IP = 7,
	WARDLINE_DECISION_EMERGENCY_CLOSED = 8,
	WARDLINE_DECISION_UNSETTLED_WORKLOAD = 9,
	WARDLINE_DECISION_SPOOFED_OVERLAY = 10,
	WARDLINE_FIRST_RULE_DECISION = 16,
};

/*
 * The control word: which slot decides, and how. One aligned 64-bit store flips everything at once.
 *
 *   bit 0        slot that is active
 *   bit 1        the active slot enforces (else it observes)
 *   bit 2        the active slot has workload sets
 *   bit 3        the deadline is armed
 *   bit 4        the other slot enforces
 *   bit 5        the other slot has workload sets
 *   bits 6-7     emergency brake: 0 none, 1 open (nothing is dropped), 2 closed (only builtin decisions pass)
 *   bits 8-35    epoch of the active slot, 0 = nothing loaded
 *   bits 36-63   epoch of the other slot
 *
 * An epoch is the agent's internal stamp of one activation. Flow entries carry it, so that any flip makes every flow
 * look up its verdict again on its next packet.
 */
#define WARDLINE_WORD_SLOT (1ULL << 0)
#define WARDLINE_WORD_ENFORCE (1ULL << 1)
#define WARDLINE_WORD_WORKLOADS (1ULL << 2)
#define WARDLINE_WORD_DEADLINE (1ULL << 3)
#define WARDLINE_WORD_OTHER_ENFORCE (1ULL << 4)
#define WARDLINE_WORD_OTHER_WORKLOADS (1ULL << 5)
#define WARDLINE_WORD_EMERGENCY_OPEN (1ULL << 6)
#define WARDLINE_WORD_EMERGENCY_CLOSED (1ULL << 7)
#define WARDLINE_WORD_EPOCH_SHIFT 8
#define WARDLINE_WORD_OTHER_EPOCH_SHIFT 36
#define WARDLINE_WORD_EPOCH_MASK 0xfffffffULL

struct wardline_control {
	__u64 word;
	/* Boot clock in ns. Written before the word that arms it. */
	__u64 deadline_ns;
	/* Agent only: the highest epoch given out. */
	__u64 last_epoch;
	__u32 layout_version;
	/*
	 * The interface through which packets of the overlay (200::/7) come and go: only there does an address of it say
	 * whose key it is. 0 = this host has no overlay. Agents before this field wrote 0 here.
	 */
	__u32 overlay_interface;
	/* What the counters of each slot's generation carry. Written while the slot decides nothing. */
	__u32 stamps[2];
	/*
	 * CLOCK_MONOTONIC until which new flows of cgroups that the agent has not looked at yet are dropped. The agent
	 * moves it on while it looks; without an agent such cgroups belong to what their ancestors belong to.
	 */
	__u64 hold_until_ns;
};

/* Agent only: what is in a slot, so that a new process can say so. */
struct wardline_slot {
	__u64 generation;
	__u8 digest[32];
	__u32 epoch;
	__u32 enforce;
	__u32 decision_count;
	__u32 workload_sets;
};

/* Agent only: which object made this tree, so that a new process knows whether it is its own. */
struct wardline_identity {
	__u8 object_digest[32];
	/* SHA-256 over the tags of all programs, in the order of the agent's list. */
	__u8 programs_digest[32];
};

/* IPv6, or IPv4 as ::ffff:a.b.c.d. Network order. */
struct wardline_address {
	union {
		__u8 bytes[16];
		__u32 words[4];
		__u64 halves[2];
	};
};

/*
 * The tables of a slot are one array of lines of 64 bytes, a cache line each, which the agent maps and writes as plain
 * memory. Line 0 says where everything is. A program answers three questions from it:
 *
 *   remote address           -> atom       a search tree for each family
 *   set, direction and atom  -> class      buckets of a hash table; no entry = that of atom 0
 *   protocol << 16 | port    -> decision   the class's own search tree
 *
 * A search tree holds ranges without gaps, each by its last key. A leaf has up to 8 ranges (3 of IPv6); a branch has up
 * to 16 (4) children, which are lines that follow each other, by the last key of each but the last. Unused keys are the
 * highest there is. All numbers are in host order.
 */
#define WARDLINE_LINE_SIZE 64
#define WARDLINE_LEAF_RANGES 8
#define WARDLINE_BRANCH_KEYS 15
#define WARDLINE_WIDE_KEYS 3
#define WARDLINE_BUCKET_CLASSES 4
/* Buckets in a row that may hold a class; the agent makes more buckets when these are full. */
#define WARDLINE_CLASS_PROBES 8
/* Levels of branches: more than any number of ranges needs that fits into a map. */
#define WARDLINE_MAX_HEIGHT 7
#define WARDLINE_MAX_WIDE_HEIGHT 14
/* Bit of an atom's place that says the direction. */
#define WARDLINE_PLACE_EGRESS 0x80000000U
/* Value of a class's tree: decision, and WARDLINE_RESULT_* above it. */
#define WARDLINE_VALUE_DECISION 0x0fffffffU
#define WARDLINE_VALUE_FLAGS_SHIFT 28
#define WARDLINE_RANGE_MISSING 0xffffffffU

#define WARDLINE_RESULT_DENY 1
#define WARDLINE_RESULT_OBSERVE_ONLY 2

struct wardline_tables {
	__u32 ipv4_root;
	__u32 ipv4_height;
	__u32 ipv6_root;
	__u32 ipv6_height;
	__u32 first_bucket;
	__u32 bucket_mask;
};

/* IPv6 address, the first half in `high`. */
struct wardline_wide_key {
	__u64 high;
	__u64 low;
};

/* `place`: atom, and WARDLINE_PLACE_EGRESS. `root` 0 = no entry. */
struct wardline_class {
	__u32 place;
	__u32 set;
	__u32 root;
	__u32 height;
};

struct wardline_branch {
	__u32 last[WARDLINE_BRANCH_KEYS];
	__u32 first_child;
};

struct wardline_leaf {
	__u32 last[WARDLINE_LEAF_RANGES];
	__u32 value[WARDLINE_LEAF_RANGES];
};

struct wardline_wide_branch {
	struct wardline_wide_key last[WARDLINE_WIDE_KEYS];
	__u32 first_child;
	__u32 pad[3];
};

struct wardline_wide_leaf {
	struct wardline_wide_key last[WARDLINE_WIDE_KEYS];
	/* The fourth is never reached. */
	__u32 value[WARDLINE_WIDE_KEYS + 1];
};

struct wardline_line {
	union {
		struct wardline_tables tables;
		struct wardline_branch branch;
		struct wardline_leaf leaf;
		struct wardline_wide_branch wide_branch;
		struct wardline_wide_leaf wide_leaf;
		struct wardline_class classes[WARDLINE_BUCKET_CLASSES];
		__u8 bytes[WARDLINE_LINE_SIZE];
	};
};

/* The hash of a slot: cgroup id -> set. */
#define WARDLINE_HASHES_PER_SLOT 1
#define WARDLINE_HASH_WORKLOADS 0

/*
 * Counters of both slots are one per-CPU array, indexed by decision * 2 + slot; the agent chooses its size when it makes
 * the tree. They are not in an inner map because kernels from 6.10 on inline a lookup in a per-CPU inner array with the
 * size of the shape, not with the size of the real map.
 *
 * A counter whose stamp is not that of its slot counts as zero, so a new generation starts at zero in one store.
 */
struct wardline_counter {
	/* First, so that a reader which sees the new stamp sees what was set to zero before it. */
	__u32 stamp;
	__u32 pad;
	__u64 packets;
	__u64 bytes;
	/* CLOCK_MONOTONIC at the last tick; packets that pass by their socket alone move it about once a second. */
	__u64 last_seen_ns;
};

struct wardline_flow_key {
	struct wardline_address local;
	struct wardline_address remote;
	/*
	 * Host order. ICMP queries: identifier, and 1 + the flow's direction, because both ends may use one identifier.
	 * Other ICMP: type << 8 | code, and 1 + direction.
	 */
	__u16 local_port;
	__u16 remote_port;
	__u8 protocol;
	__u8 pad[3];
};

#define WARDLINE_FLOW_DENIED (1 << 0)
#define WARDLINE_FLOW_OBSERVE_ONLY (1 << 1)
/* A packet came back. */
#define WARDLINE_FLOW_ANSWERED (1 << 2)
#define WARDLINE_FLOW_FIN_INGRESS (1 << 3)
#define WARDLINE_FLOW_FIN_EGRESS (1 << 4)
#define WARDLINE_FLOW_RESET (1 << 5)
/* Its end was reported; the entry stays a while for the last packets. */
#define WARDLINE_FLOW_ENDED (1 << 6)
/* Forwarded between two others. The key's local end is the service, the remote end opened the flow. */
#define WARDLINE_FLOW_FORWARDED (1 << 7)

struct wardline_flow {
	/* CLOCK_MONOTONIC at the last tick. */
	__u64 last_seen_ns;
	__u64 packets;
	/* Of the end that opened the flow, and of the other one. */
	__u64 originator_bytes;
	__u64 responder_bytes;
	__u64 cgroup_id;
	__u32 epoch;
	__u32 decision;
	__u32 set;
	__u32 flags;
	/* What policy was asked: destination port, or ICMP type << 8 | code of the first packet. */
	__u16 policy_port;
	/* Who opened the flow. */
	__u8 direction;
	__u8 pad;
	/* Tick of the kernel at which last_seen_ns was written. */
	__u32 tick;
};

/* The process that connected, bound or first sent with a socket. */
struct wardline_owner {
	__u32 pid;
	__u32 user_id;
	__u8 command[16];
};

/*
 * A verdict that packets pass by without asking anything else. It was given under one control word, for packets with this
 * key, and goes for as long as that very word stands.
 */
struct wardline_kept {
	/* 0 = packets have to ask the flow table. */
	__u64 word;
	/* Tick of the kernel at which the flow table was told last. */
	__u32 kept_at;
	/* Where packets count: decision * 2 + slot. */
	__u32 counter;
	struct wardline_flow_key key;
};

/*
 * Packets and bytes in one word, so that one addition counts both: bytes in the lower bits. There is a word for each
 * direction, so the bytes of either end are told apart without a further addition. The flow table is told about every
 * second or thousand packets, and there is room for 67 million packets and 256 GiB.
 */
#define WARDLINE_PENDING_BYTES_BITS 38
#define WARDLINE_PENDING_PACKET (1ULL << WARDLINE_PENDING_BYTES_BITS)

/* A power of two. Cookies count up, so a place is taken again only after as many other sockets. */
#define WARDLINE_RECENT_COUNT 8192
/* Cookie of a place that somebody is writing. */
#define WARDLINE_RECENT_BUSY (~0ULL)

/*
 * The place of a socket that was used a moment ago, found by its cookie: who connected or sent with it, and the verdict of
 * its young flow. What each packet reads is one cache line, and each direction counts in another: packets that leave and
 * packets that arrive are usually handled by different processors, and a line that both write travels between them with each
 * packet. Only who has set the cookie to WARDLINE_RECENT_BUSY writes.
 */
struct wardline_recent {
	__u64 cookie;
	struct wardline_kept kept;

	/* Packets and bytes that the flow table does not know yet: see WARDLINE_PENDING_*. */
	__u64 pending_in;
	struct wardline_owner owner;
	__u8 gap[32];

	__u64 pending_out;
	__u8 pad[56];
};

/*
 * Kept with a socket. The owner is noted when the socket is bound. A connected socket also holds its flow's verdict once
 * the flow has lasted a while: an eviction from the flow table then costs nothing. The kernel puts 8 bytes of its own before
 * this, at the start of a cache line; lines are used as in wardline_recent.
 */
struct wardline_socket {
	struct wardline_kept kept;

	__u64 pending_in;
	struct wardline_owner owner;
	/* As in wardline_flow. epoch 0 = no flow is kept here. */
	__u64 cgroup_id;
	__u32 epoch;
	__u32 decision;
	__u32 set;
	__u32 flags;
	__u16 policy_port;
	__u8 direction;
	__u8 pad[5];

	__u64 pending_out;
	/* Totals that the flow table was told last, and when (as wardline_flow.last_seen_ns). */
	__u64 folded_packets;
	__u64 folded_originator_bytes;
	__u64 folded_responder_bytes;
	__u64 folded_ns;
};

/*
 * Addresses of a network namespace, for the connect hooks. The entry with the unspecified address says that the agent
 * vouches for this namespace: the list is complete, and nothing translates outgoing connections. Its value is the second
 * of the boot clock until which that holds; the agent moves it on, and a dead agent's word lapses.
 */
struct wardline_local_key {
	__u64 netns_cookie;
	struct wardline_address address;
};

/* Idle limits in seconds; the agent's sweep uses the same. */
#define WARDLINE_TIMEOUT_TCP_OPENING 120
#define WARDLINE_TIMEOUT_TCP_ESTABLISHED 432000
#define WARDLINE_TIMEOUT_TCP_CLOSING 600
#define WARDLINE_TIMEOUT_ENDED 10
#define WARDLINE_TIMEOUT_UDP_OPENING 30
#define WARDLINE_TIMEOUT_UDP_ANSWERED 60
#define WARDLINE_TIMEOUT_ICMP 30
#define WARDLINE_TIMEOUT_OTHER 600

enum wardline_event_kind {
	WARDLINE_EVENT_START = 1,
	WARDLINE_EVENT_END = 2,
	WARDLINE_EVENT_DENY = 3,
};

/* Where the packet was met. */
enum wardline_hook {
	WARDLINE_HOOK_SOCKET = 0,
	/* Refused before a packet was made. */
	WARDLINE_HOOK_CONNECT = 1,
	/* A packet without a socket on this host. */
	WARDLINE_HOOK_EDGE = 2,
};

struct wardline_event {
	__u64 boot_ns;
	__u64 packets;
	__u64 originator_bytes;
	__u64 responder_bytes;
	__u64 cgroup_id;
	/* The end that opened the connection. */
	struct wardline_address source;
	struct wardline_address destination;
	__u32 epoch;
	__u32 decision;
	__u32 set;
	__u16 source_port;
	__u16 destination_port;
	__u8 kind;
	/* 0 = allow, 1 = deny. */
	__u8 verdict;
	__u8 enforced;
	__u8 direction;
	__u8 protocol;
	/* enum wardline_hook */
	__u8 hook;
	__u8 pad[2];
	/* Who opened the socket; pid 0 = unknown. */
	struct wardline_owner owner;
};

/* Indexes of the per-CPU loss counters. */
enum wardline_loss {
	WARDLINE_LOSS_FLOW_RING_FULL = 0,
	WARDLINE_LOSS_DENY_RING_FULL = 1,
	WARDLINE_LOSS_RATE_LIMITED = 2,
	/* The flow table had no room for an entry; the packet got its verdict, the flow is not followed. */
	WARDLINE_LOSS_FLOW_TABLE = 3,
	WARDLINE_LOSS_COUNT = 4,
};

/* Token buckets that limit repeats of one denied flow, hashed, per CPU. */
#define WARDLINE_BUCKET_COUNT 4096
#define WARDLINE_BUCKET_BURST 4
#define WARDLINE_BUCKET_REFILL_NS 1000000000ULL

struct wardline_bucket {
	__u64 refilled_ns;
	__u32 tokens;
	__u32 pad;
};

/*
 * The self-test program gets its question in __sk_buff.cb and answers there. It is never attached, and touches neither
 * flows nor counters nor rings.
 *   in:  cb[0] = slot | direction << 1, cb[1] = set
 *   out: cb[2] = decision index, cb[3] = WARDLINE_RESULT_* flags, cb[4] = 1
 */
#define WARDLINE_SELFTEST_SLOT 1
#define WARDLINE_SELFTEST_EGRESS 2

#endif
