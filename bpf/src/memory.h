/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What each processor remembers from one packet to the next, to save it a walk or a clock. The agent knows nothing of it: these
 * maps are not pinned, and start empty whenever the programs are loaded. Nothing here is the only copy of anything.
 *
 * Only programs of its own processor touch a place, but one may be interrupted by another there, so writers say that they
 * write, and only one of them does: who was interrupted before it began finds the turn taken. No turn comes twice, or a reader
 * that was interrupted could take two halves for one answer. On one processor everything is seen in the order of the program:
 * barriers for the compiler are enough.
 */
#ifndef WARDLINE_MEMORY_H
#define WARDLINE_MEMORY_H

#include <linux/in.h>

#include "helpers.h"
#include "tables.h"
#include "wardline.h"

#define IN_PROGRAM_ORDER() asm volatile("" ::: "memory")

/* A power of two. */
#define ANSWER_COUNT 256
#define ANSWER_HASH_SHIFT 24

/* What the tables answered. Odd `turn` = somebody is writing. Question 0 is never asked: an epoch is in each. */
struct remembered_answer {
	__u32 turn;
	__u32 question;
	__u64 high;
	__u64 low;
	__u32 set;
	__u32 service;
	__u64 answer;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, ANSWER_COUNT);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct remembered_answer);
} wl_answers SEC(".maps");

struct processor {
	/* CLOCK_BOOTTIME - CLOCK_MONOTONIC, as of the tick. */
	__u64 boot_ahead_ns;
	__u32 tick;
	/* The last TCP opening here had a tuple that the flow table knew already. */
	__u32 met_known;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct processor);
} wl_processors SEC(".maps");

INLINE struct processor *this_processor(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&wl_processors, &zero);
}

/* Whether the flow table knew the tuple of an opening: then the next one here looks first. */
INLINE void note_opening(int met_known)
{
	struct processor *processor = this_processor();

	if (processor)
		processor->met_known = met_known;
}

INLINE void remember_answer(struct remembered_answer *place, __u32 question, __u32 set, __u64 high, __u64 low, __u32 service,
			    __u64 answer)
{
	__u32 turn = *(volatile __u32 *)&place->turn;

	if (unlikely(turn & 1) || unlikely(__sync_val_compare_and_swap(&place->turn, turn, turn + 1) != turn))
		return;
	IN_PROGRAM_ORDER();
	place->question = question;
	place->set = set;
	place->high = high;
	place->low = low;
	place->service = service;
	place->answer = answer;
	IN_PROGRAM_ORDER();
	*(volatile __u32 *)&place->turn = turn + 2;
}

/*
 * answer_question, by memory when it was asked here a moment ago: the first packet of a connection asks what `connect` has
 * asked, and the next connection to a service what the one before has. Above the two bits of answer_question stands the
 * epoch; what the tables of an epoch answer never changes, which is what flow entries rely on as well.
 */
GLOBAL __u64 recall_answer(__u32 question, __u32 set, __u64 high, __u64 low, __u32 service)
{
	__u32 hash = ((__u32)high ^ (__u32)low ^ service * 0x85ebca77U) * 0x9e3779b1U >> ANSWER_HASH_SHIFT;
	struct remembered_answer *place = bpf_map_lookup_elem(&wl_answers, &hash);
	__u64 answer;
	__u32 turn;

	if (!place)
		return answer_question(question & 3, set, high, low, service);
	turn = *(volatile __u32 *)&place->turn;
	IN_PROGRAM_ORDER();
	if (!((place->question ^ question) | (place->set ^ set) | (place->service ^ service) | (turn & 1)) &&
	    !((place->high ^ high) | (place->low ^ low))) {
		answer = place->answer;
		IN_PROGRAM_ORDER();
		if (likely(*(volatile __u32 *)&place->turn == turn))
			return answer;
	}
	answer = answer_question(question & 3, set, high, low, service);
	remember_answer(place, question, set, high, low, service, answer);
	return answer;
}

/* find_decision for the tables of an epoch, which is not 0. */
INLINE void recall_decision(__u32 slot, __u32 epoch, __u32 set, int direction, const struct wardline_address *remote,
			    __u8 protocol, __u16 port, struct decision *decision)
{
	__u64 answer = recall_answer(epoch << 2 | (direction & 1) << 1 | (slot & 1), set, network64(remote->halves[0]),
				     network64(remote->halves[1]), (__u32)protocol << 16 | port);

	decision->index = answer;
	decision->flags = answer >> 32;
}

/* Further than this from the last tick, what a packet says of its time is a plan or a fault. */
#define SENT_WINDOW_NS 16000000ULL
/* Two clocks read in a row are not further apart. */
#define CLOCKS_APART_NS 5000ULL

/*
 * CLOCK_BOOTTIME at which our own TCP made this packet, for which it has read a precise clock already; 0 when the packet does
 * not say: what arrives, and datagrams, carry another clock's time or what their sender asked for. The distance of the two
 * clocks is remembered for a tick, because it changes only while the machine is suspended. Global for the verifier: it walks
 * the ways through here once.
 */
GLOBAL __u64 sent_boot_ns(struct __sk_buff *skb, int direction, __u32 protocol)
{
	struct processor *processor;
	__u64 sent = skb->tstamp;
	__u32 tick;

	if (direction != WARDLINE_EGRESS || protocol != IPPROTO_TCP ||
	    sent - bpf_ktime_get_coarse_ns() + SENT_WINDOW_NS > 2 * SENT_WINDOW_NS)
		return 0;
	processor = this_processor();
	if (!processor)
		return 0;
	tick = bpf_jiffies64();
	if (unlikely(processor->tick != tick)) {
		__u64 before = bpf_ktime_get_ns(), boot = bpf_ktime_get_boot_ns(), after = bpf_ktime_get_ns();

		/* Interrupted between the two. */
		if (after - before > CLOCKS_APART_NS)
			return 0;
		processor->boot_ahead_ns = boot - after;
		processor->tick = tick;
	}
	return sent + processor->boot_ahead_ns;
}

#endif
