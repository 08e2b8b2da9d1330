/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which slot decides, which set a socket belongs to, what its packets count for. */
#ifndef WARDLINE_POLICY_H
#define WARDLINE_POLICY_H

#include "helpers.h"
#include "maps.h"
#include "tables.h"
#include "wardline.h"

/* Deepest cgroup below the hierarchy's root that is compared with the workloads. */
#define MAX_CGROUP_LEVELS 16

/* The control word as one packet sees it, with the deadline applied. */
struct view {
	__u32 slot;
	__u32 epoch;
	/* Of the counters of the slot's present generation. */
	__u32 stamp;
	__u8 enforce;
	__u8 workloads;
	/* The emergency brake is pulled: only builtin decisions pass. */
	__u8 closed;
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
	view->stamp = control->stamps[view->slot & 1];
	/* Closed wins where both bits are set. */
	if (unlikely(word & WARDLINE_WORD_EMERGENCY_OPEN))
		view->enforce = 0;
	if (unlikely(view->closed))
		view->enforce = 1;
}

/*
 * The set of the deepest matching cgroup among the ancestors that `ancestor_at(level)` names; 0 when none matches. A macro,
 * because BPF has no pointers to functions: sockets and callers name their ancestors by different helpers.
 */
#define find_deepest_set(slot, ancestor_at)                                                                  \
	({                                                                                                   \
		__u32 _index = ((slot) & 1) * WARDLINE_HASHES_PER_SLOT + WARDLINE_HASH_WORKLOADS;            \
		void *_workloads = bpf_map_lookup_elem(&wl_hashes, &_index);                                 \
		__u32 _set = 0;                                                                              \
		int _level;                                                                                  \
                                                                                                             \
		for (_level = 1; _workloads && _level <= MAX_CGROUP_LEVELS; _level++) {                      \
			__u64 _id = ancestor_at(_level);                                                     \
			__u32 *_found;                                                                       \
                                                                                                             \
			if (!_id)                                                                            \
				break;                                                                       \
			_found = bpf_map_lookup_elem(_workloads, &_id);                                      \
			if (_found)                                                                          \
				_set = *_found;                                                              \
		}                                                                                            \
		_set;                                                                                        \
	})

/* The set of the packet's socket. */
GLOBAL __u32 find_set_in(struct __sk_buff *skb, __u32 slot)
{
#define ancestor_of_socket(level) bpf_skb_ancestor_cgroup_id(skb, level)
	return find_deepest_set(slot, ancestor_of_socket);
#undef ancestor_of_socket
}

/*
 * Whether the packet's socket is in a cgroup that the agent has not looked at yet: made a moment ago, and perhaps a
 * workload's. Its first flows wait, or they would be judged as somebody else's.
 */
NOINLINE int is_unsettled(struct __sk_buff *skb, __u64 now)
{
	__u32 zero = 0;
	struct wardline_control *control = bpf_map_lookup_elem(&wl_control, &zero);
	__u64 id;

	if (!control || now >= *(volatile __u64 *)&control->hold_until_ns)
		return 0;
	id = bpf_skb_cgroup_id(skb);
	return id && !bpf_map_lookup_elem(&wl_known_cgroups, &id);
}

INLINE __u32 find_set(struct __sk_buff *skb, const struct view *view)
{
	return likely(!view->workloads) ? 0 : find_set_in(skb, view->slot);
}

INLINE __u32 builtin_flags(__u32 builtin)
{
	return builtin >= WARDLINE_DECISION_MALFORMED ? WARDLINE_RESULT_DENY : 0;
}

INLINE int must_drop(const struct view *view, __u32 flags)
{
	return (flags & WARDLINE_RESULT_DENY) && view->enforce && !(flags & WARDLINE_RESULT_OBSERVE_ONLY);
}

/* The counter at a place (decision * 2 + slot), for the generation with this stamp. */
INLINE struct wardline_counter *counter_at(__u32 place, __u32 stamp)
{
	struct wardline_counter *counter = bpf_map_lookup_elem(&wl_counters, &place);

	/* The first packet of a generation starts its counter anew: the agent need not clear any. */
	if (counter && unlikely(counter->stamp != stamp)) {
		counter->packets = 0;
		counter->bytes = 0;
		*(volatile __u32 *)&counter->stamp = stamp;
	}
	return counter;
}

/* `now` may be 0: then the time of the last packet stays. */
INLINE void add_to_counter(const struct view *view, __u32 index, __u64 packets, __u64 bytes, __u64 now)
{
	struct wardline_counter *counter = counter_at(index * 2 + (view->slot & 1), view->stamp);

	if (!counter)
		return;
	counter->packets += packets;
	counter->bytes += bytes;
	if (now)
		counter->last_seen_ns = now;
}

/* A packet that the network card, or the kernel for it, cuts up later counts as what it becomes. */
INLINE __u32 packet_count(const struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs;

	return segments ? segments : 1;
}

INLINE void count_decision(struct __sk_buff *skb, const struct view *view, __u32 index, __u64 now)
{
	add_to_counter(view, index, packet_count(skb), skb->len, now);
}

#endif
