/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records for the agent. Submitted without a wake-up: one per event would cost more than the whole decision. */
#ifndef WARDLINE_EVENTS_H
#define WARDLINE_EVENTS_H

#include "helpers.h"
#include "maps.h"
#include "packet.h"
#include "policy.h"
#include "wardline.h"

/* What an event says beyond the packet's addresses. */
struct report {
	/* CLOCK_BOOTTIME; 0 = the present. */
	__u64 boot_ns;
	__u64 now;
	__u64 packets;
	__u64 originator_bytes;
	__u64 responder_bytes;
	__u64 cgroup_id;
	__u32 epoch;
	__u32 decision;
	__u32 set;
	__u8 kind;
	__u8 denied;
	__u8 dropped;
	__u8 direction;
	__u8 hook;
};

INLINE void write_event(struct wardline_event *event, const struct packet *packet, const struct report *report,
			const struct wardline_owner *owner)
{
	int egress = report->direction == WARDLINE_EGRESS;
	int is_icmp = packet->key.protocol == IPPROTO_ICMP || packet->key.protocol == IPPROTO_ICMPV6;
	__u16 opener_port = is_icmp ? 0 : egress ? packet->key.local_port : packet->key.remote_port;

	event->boot_ns = report->boot_ns ? report->boot_ns : bpf_ktime_get_boot_ns();
	event->packets = report->packets;
	event->originator_bytes = report->originator_bytes;
	event->responder_bytes = report->responder_bytes;
	event->cgroup_id = report->cgroup_id;
	event->source = egress ? packet->key.local : packet->key.remote;
	event->destination = egress ? packet->key.remote : packet->key.local;
	event->epoch = report->epoch;
	event->decision = report->decision;
	event->set = report->set;
	event->source_port = opener_port;
	event->destination_port = packet->policy_port;
	event->kind = report->kind;
	event->verdict = report->denied;
	event->enforced = report->dropped;
	event->direction = report->direction;
	event->protocol = packet->key.protocol;
	event->hook = report->hook;
	event->pad[0] = event->pad[1] = 0;
	if (owner)
		event->owner = *owner;
	else
		__builtin_memset(&event->owner, 0, sizeof(event->owner));
}

/* `owner` may be 0. */
GLOBAL int emit_flow_event(const struct packet *packet, const struct report *report,
			   const struct wardline_owner *owner)
{
	struct wardline_event *event;

	if (!packet || !report)
		return 0;
	event = bpf_ringbuf_reserve(&wl_flow_ring, sizeof(*event), 0);

	if (!event) {
		count_loss(WARDLINE_LOSS_FLOW_RING_FULL);
		return 0;
	}
	write_event(event, packet, report, owner);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

INLINE __u32 mix(__u32 hash, __u32 word)
{
	hash ^= word;
	hash *= 0x9e3779b1;
	return hash ^ (hash >> 15);
}

/*
 * Repeats of one denied flow share a bucket. Source ports of the opener are left out, so that a client that retries from
 * new ports counts as one.
 */
INLINE int take_token(const struct packet *packet, const struct report *report)
{
	__u32 hash = mix(report->decision, packet->key.remote.words[0]);
	struct wardline_bucket *bucket;
	__u64 refill;

	hash = mix(hash, packet->key.remote.words[1]);
	hash = mix(hash, packet->key.remote.words[2]);
	hash = mix(hash, packet->key.remote.words[3]);
	hash = mix(hash, packet->key.local.words[3]);
	hash = mix(hash, ((__u32)packet->policy_port << 16) | ((__u32)packet->key.protocol << 8) | report->direction);
	hash %= WARDLINE_BUCKET_COUNT;
	bucket = bpf_map_lookup_elem(&wl_buckets, &hash);
	if (!bucket)
		return 1;
	refill = (report->now - bucket->refilled_ns) / WARDLINE_BUCKET_REFILL_NS;
	if (refill) {
		bucket->tokens = refill >= WARDLINE_BUCKET_BURST ? WARDLINE_BUCKET_BURST : bucket->tokens + refill;
		if (bucket->tokens > WARDLINE_BUCKET_BURST)
			bucket->tokens = WARDLINE_BUCKET_BURST;
		bucket->refilled_ns = report->now;
	}
	if (!bucket->tokens)
		return 0;
	bucket->tokens -= 1;
	return 1;
}

GLOBAL int emit_deny_event(const struct packet *packet, const struct report *report,
			   const struct wardline_owner *owner)
{
	struct wardline_event *event;

	if (!packet || !report)
		return 0;
	if (!take_token(packet, report)) {
		count_loss(WARDLINE_LOSS_RATE_LIMITED);
		return 0;
	}
	event = bpf_ringbuf_reserve(&wl_deny_ring, sizeof(*event), 0);
	if (!event) {
		count_loss(WARDLINE_LOSS_DENY_RING_FULL);
		return 0;
	}
	write_event(event, packet, report, owner);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
