/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which slot decides, which set a socket belongs to, and the three lookups of a decision. */
#ifndef WARDLINE_POLICY_H
#define WARDLINE_POLICY_H

#include "helpers.h"
#include "maps.h"
#include "wardline.h"

/* Deepest cgroup below the hierarchy's root that is compared with the workloads. */
#define MAX_CGROUP_LEVELS 16

/* The control word as one packet sees it, with the deadline applied. */
struct view {
	__u32 slot;
	__u32 epoch;
	__u8 enforce;
	__u8 workloads;
	/* The emergency brake is pulled: only builtin decisions pass. */
	__u8 closed;
};

struct decision {
	__u32 index;
	__u32 flags;
};

/* Called once per packet, so that no packet mixes two generations. */
INLINE void read_view(struct view *view)
{
	__u32 zero = 0;
	struct wardline_control *control = bpf_map_lookup_elem(&wl_control, &zero);
	__u64 word;

	if (!control)
		return;
	word = *(volatile __u64 *)&control->word;
	view->closed = !!(word & WARDLINE_WORD_EMERGENCY_CLOSED);
	if (unlikely(word & WARDLINE_WORD_DEADLINE) && bpf_ktime_get_boot_ns() > *(volatile __u64 *)&control->deadline_ns) {
		view->slot = !(word & WARDLINE_WORD_SLOT);
		view->enforce = !!(word & WARDLINE_WORD_OTHER_ENFORCE);
		view->workloads = !!(word & WARDLINE_WORD_OTHER_WORKLOADS);
		view->epoch = (word >> WARDLINE_WORD_OTHER_EPOCH_SHIFT) & WARDLINE_WORD_EPOCH_MASK;
	} else {
		view->slot = word & WARDLINE_WORD_SLOT;
		view->enforce = !!(word & WARDLINE_WORD_ENFORCE);
		view->workloads = !!(word & WARDLINE_WORD_WORKLOADS);
		view->epoch = (word >> WARDLINE_WORD_EPOCH_SHIFT) & WARDLINE_WORD_EPOCH_MASK;
	}
	/* Closed wins where both bits are set. */
	if (unlikely(word & WARDLINE_WORD_EMERGENCY_OPEN))
		view->enforce = 0;
	if (unlikely(view->closed))
		view->enforce = 1;
}

/* The set of the deepest matching cgroup above the packet's socket; 0 when none matches. */
GLOBAL __u32 find_set_in(struct __sk_buff *skb, __u32 slot)
{
	__u32 index = (slot & 1) * WARDLINE_HASHES_PER_SLOT + WARDLINE_HASH_WORKLOADS;
	__u32 set = 0;
	void *workloads;
	int level;

	workloads = bpf_map_lookup_elem(&wl_hashes, &index);
	if (!workloads)
		return 0;
	for (level = 1; level <= MAX_CGROUP_LEVELS; level++) {
		__u64 id = bpf_skb_ancestor_cgroup_id(skb, level);
		__u32 *found;

		if (!id)
			break;
		found = bpf_map_lookup_elem(workloads, &id);
		if (found)
			set = *found;
	}
	return set;
}

INLINE __u32 find_set(struct __sk_buff *skb, const struct view *view)
{
	return likely(!view->workloads) ? 0 : find_set_in(skb, view->slot);
}

INLINE __u32 find_atom(__u32 slot, const struct wardline_address *remote)
{
	__u32 index = slot * WARDLINE_TRIES_PER_SLOT + WARDLINE_TRIE_ADDRESSES;
	struct wardline_trie_key key = { .prefix_bits = 128 };
	struct wardline_trie_value *found;
	void *trie = bpf_map_lookup_elem(&wl_tries, &index);

	if (!trie)
		return 0;
	__builtin_memcpy(key.data, remote, 16);
	found = bpf_map_lookup_elem(trie, &key);
	return found ? found->index : 0;
}

/* Null only when the slot's tables lack the entry of atom 0, which the agent refuses to install. */
INLINE __u32 *find_class(__u32 slot, __u32 set, int direction, __u32 atom)
{
	__u32 index = slot * WARDLINE_HASHES_PER_SLOT + WARDLINE_HASH_CLASSES;
	__u64 any = ((__u64)set << 32) | ((__u64)(direction & 1) << 31);
	__u64 key = any | atom;
	__u32 *class;
	void *classes = bpf_map_lookup_elem(&wl_hashes, &index);

	if (!classes)
		return 0;
	class = bpf_map_lookup_elem(classes, &key);
	if (!class && atom)
		class = bpf_map_lookup_elem(classes, &any);
	return class;
}

/*
 * `service` is protocol << 16 | port. Global, like every function here that has many ways out: the verifier then walks
 * them once, and not once for each path that follows.
 */
GLOBAL int find_decision_in(__u32 slot_and_direction, __u32 set, const struct wardline_address *remote, __u32 service,
			    struct decision *decision)
{
	__u32 slot = slot_and_direction & 1;
	int direction = (slot_and_direction >> 1) & 1;
	__u32 index = slot * WARDLINE_TRIES_PER_SLOT + WARDLINE_TRIE_PORTS;
	struct wardline_trie_key key = { .prefix_bits = WARDLINE_PORT_KEY_BITS };
	struct wardline_trie_value *found;
	__u32 *class;
	void *trie;

	if (!remote || !decision)
		return 0;
	/* Tables that lack a default cannot be installed; if one were, it would close and not open. */
	decision->index = WARDLINE_DECISION_NONE;
	decision->flags = WARDLINE_RESULT_DENY;
	class = find_class(slot, set, direction, find_atom(slot, remote));
	if (!class)
		return 0;
	trie = bpf_map_lookup_elem(&wl_tries, &index);
	if (!trie)
		return 0;
	*(__u32 *)&key.data[0] = network32(*class);
	key.data[4] = service >> 16;
	key.data[5] = service >> 8;
	key.data[6] = service;
	found = bpf_map_lookup_elem(trie, &key);
	if (!found)
		return 0;
	decision->index = found->index;
	decision->flags = found->flags;
	return 0;
}

INLINE void find_decision(__u32 slot, __u32 set, int direction, const struct wardline_address *remote, __u8 protocol,
			  __u16 port, struct decision *decision)
{
	find_decision_in((slot & 1) | (direction & 1) << 1, set, remote, (__u32)protocol << 16 | port, decision);
}

INLINE __u32 builtin_flags(__u32 builtin)
{
	return builtin >= WARDLINE_DECISION_MALFORMED ? WARDLINE_RESULT_DENY : 0;
}

INLINE int must_drop(const struct view *view, __u32 flags)
{
	return (flags & WARDLINE_RESULT_DENY) && view->enforce && !(flags & WARDLINE_RESULT_OBSERVE_ONLY);
}

INLINE void add_to_counter(const struct view *view, __u32 index, __u64 packets, __u64 bytes, __u64 now)
{
	__u32 place = index * 2 + (view->slot & 1);
	struct wardline_counter *counter = bpf_map_lookup_elem(&wl_counters, &place);

	if (!counter)
		return;
	counter->packets += packets;
	counter->bytes += bytes;
	counter->last_seen_ns = now;
}

INLINE void count_decision(struct __sk_buff *skb, const struct view *view, __u32 index, __u64 now)
{
	add_to_counter(view, index, skb->gso_segs ? skb->gso_segs : 1, skb->len, now);
}

#endif
