// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What one policy decision costs with addresses that change from packet to packet. BPF_PROG_TEST_RUN repeats one packet, so
// that every lookup after the first would find its path in the cache. These programs take the address from a sequence that
// user space filled (random, or skewed as traffic is) and ask the datapath's own tables, or a peer's.
//
// Each program does the same but for the lookup: `bench_empty` is what the others stand on.
#include "helpers.h"
#include "maps.h"
#include "policy.h"
#include "wardline.h"

#define SEQUENCE_ENTRIES (1 << 20)

struct question {
	struct wardline_address remote;
	__u16 port;
	__u8 protocol;
	__u8 pad;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, SEQUENCE_ENTRIES);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct question);
} bench_sequence SEC(".maps");

// Where in the sequence, whose length is a power of two; and, so that no lookup can be left out by the compiler, the sum of
// what they found. `found` counts the questions that a table allowed: user space knows how many those have to be.
struct cursor {
	__u32 position;
	__u32 mask;
	__u64 found;
	__u64 sum;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct cursor);
} bench_cursor SEC(".maps");

// Lower bound of any table: one exact key, no prefixes, no ports.
struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, struct wardline_address);
	MAP_TYPE(value, __u32);
} bench_hash SEC(".maps");

// One rule each, asked one after the other: what a firewall without tables does.
struct linear_rule {
	struct wardline_address network;
	struct wardline_address mask;
	__u16 low;
	__u16 high;
	__u32 decision;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct linear_rule);
} bench_linear SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u32);
} bench_linear_count SEC(".maps");

static long (*loop)(__u32 count, void *callback, void *context, __u64 flags) = (void *)181;

INLINE struct cursor *next_question(struct question **question)
{
	__u32 zero = 0, place;
	struct cursor *cursor = bpf_map_lookup_elem(&bench_cursor, &zero);

	*question = 0;
	if (!cursor)
		return 0;
	place = cursor->position++ & cursor->mask;
	*question = bpf_map_lookup_elem(&bench_sequence, &place);
	return cursor;
}

SEC("cgroup_skb/ingress")
int bench_empty(struct __sk_buff *skb)
{
	struct question *question;
	struct cursor *cursor = next_question(&question);

	if (cursor && question)
		cursor->sum += question->port;
	return 1;
}

SEC("cgroup_skb/ingress")
int bench_wardline(struct __sk_buff *skb)
{
	struct question *question;
	struct cursor *cursor = next_question(&question);
	struct decision decision = {};
	struct view view = {};

	if (!cursor || !question)
		return 1;
	read_view(&view);
	find_decision(view.slot, 0, WARDLINE_INGRESS, &question->remote, question->protocol, question->port, &decision);
	cursor->sum += decision.index;
	cursor->found += !(decision.flags & WARDLINE_RESULT_DENY);
	return 1;
}

SEC("cgroup_skb/ingress")
int bench_hash_only(struct __sk_buff *skb)
{
	struct question *question;
	struct cursor *cursor = next_question(&question);
	struct wardline_address key;
	__u32 *found;

	if (!cursor || !question)
		return 1;
	key = question->remote;
	found = bpf_map_lookup_elem(&bench_hash, &key);
	if (found) {
		cursor->sum += *found;
		cursor->found += 1;
	}
	return 1;
}

struct search {
	struct question question;
	__u32 decision;
};

static long match_rule(__u32 index, struct search *search)
{
	struct linear_rule *rule = bpf_map_lookup_elem(&bench_linear, &index);

	if (!rule)
		return 1;
	if ((search->question.remote.halves[0] & rule->mask.halves[0]) != rule->network.halves[0] ||
	    (search->question.remote.halves[1] & rule->mask.halves[1]) != rule->network.halves[1] ||
	    search->question.port < rule->low || search->question.port > rule->high)
		return 0;
	search->decision = rule->decision;
	return 1;
}

SEC("cgroup_skb/ingress")
int bench_linear_scan(struct __sk_buff *skb)
{
	struct question *question;
	struct cursor *cursor = next_question(&question);
	struct search search = {};
	__u32 zero = 0;
	__u32 *count = bpf_map_lookup_elem(&bench_linear_count, &zero);

	if (!cursor || !question || !count)
		return 1;
	search.question = *question;
	loop(*count, match_rule, &search, 0);
	cursor->sum += search.decision;
	cursor->found += !!search.decision;
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
