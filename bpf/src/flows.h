/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: what makes replies pass. A flow is entered when its first packet is let through, and is stamped with
 * the epoch whose tables decided it. After a flip the next packet of every flow asks the new tables, always in the
 * direction in which the flow was opened; a flow that lost its permission stays in the table as denied, so that none
 * of its later packets can be mistaken for the first of another flow.
 */
#ifndef WARDLINE_FLOWS_H
#define WARDLINE_FLOWS_H

#include "events.h"
#include "helpers.h"
#include "maps.h"
#include "memory.h"
#include "packet.h"
#include "policy.h"
#include "sockets.h"
#include "wardline.h"

/* Signed, because another CPU may have stamped the entry after this one read the clock. */
INLINE int is_idle(struct context *context, const struct wardline_flow *flow)
{
	__s64 idle;

	if (flow->tick == (__u32)bpf_jiffies64())
		return 0;
	read_clock(context);
	idle = context->now - flow->last_seen_ns;

	return idle > (__s64)idle_limit_ns(context->packet.key.protocol, flow->flags);
}

/* Who bound the packet's socket, or connected or sent with it. */
INLINE const struct wardline_owner *find_owner(const struct context *context)
{
	if (context->socket && context->socket->owner.pid)
		return &context->socket->owner;
	return context->recent && context->recent->owner.pid ? &context->recent->owner : 0;
}

/* Out of line: what it fills is large, and what is above it on the stack calls deep. */
NOINLINE void report_flow(struct context *context, const struct wardline_flow *flow, __u8 kind, int dropped)
{
	const struct wardline_owner *owner = 0;
	struct report report = {
		.boot_ns = sent_boot_ns(context->skb, context->direction, context->packet.key.protocol),
		.now = context->now,
		.packets = flow->packets,
		.originator_bytes = flow->originator_bytes,
		.responder_bytes = flow->responder_bytes,
		.cgroup_id = flow->cgroup_id,
		.epoch = flow->epoch,
		.decision = flow->decision,
		.set = flow->set,
		.kind = kind,
		.denied = !!(flow->flags & WARDLINE_FLOW_DENIED),
		.dropped = dropped,
		.direction = flow->direction,
	};

	if (kind != WARDLINE_EVENT_END)
		owner = find_owner(context);
	context->packet.policy_port = flow->policy_port;
	if (kind == WARDLINE_EVENT_DENY)
		emit_deny_event(&context->packet, &report, owner);
	else
		emit_flow_event(&context->packet, &report, owner);
}

INLINE int drops(const struct context *context, const struct wardline_flow *flow)
{
	return must_drop(&context->view, flow->flags & (WARDLINE_FLOW_DENIED | WARDLINE_FLOW_OBSERVE_ONLY));
}

/* Reports the end of a flow, once. */
NOINLINE void end_flow(struct context *context, struct wardline_flow *flow)
{
	if (__sync_fetch_and_or(&flow->flags, WARDLINE_FLOW_ENDED) & WARDLINE_FLOW_ENDED)
		return;
	report_flow(context, flow, WARDLINE_EVENT_END, drops(context, flow));
}

/*
 * A flow whose end was reported goes on: for whoever adds up ends it is another one, with counts of its own. `packets` and
 * `bytes` are those of the present packet, where they are counted already.
 */
NOINLINE void resume_flow(struct context *context, struct wardline_flow *flow, __u32 packets, __u32 bytes)
{
	int answers = context->direction != flow->direction;

	flow->packets = packets;
	flow->originator_bytes = answers ? 0 : bytes;
	flow->responder_bytes = answers ? bytes : 0;
	__sync_fetch_and_and(&flow->flags, ~(WARDLINE_FLOW_RESET | WARDLINE_FLOW_ENDED));
	report_flow(context, flow, WARDLINE_EVENT_START, 0);
}

/* A flow that lost its permission, and did not close meanwhile, was told as ended. */
INLINE int was_cut_off(__u32 flags)
{
	__u32 both = WARDLINE_FLOW_FIN_EGRESS | WARDLINE_FLOW_FIN_INGRESS;

	return (flags & WARDLINE_FLOW_DENIED) && (flags & WARDLINE_FLOW_ENDED) && (flags & both) != both;
}

/* Asks the tables of the current epoch about a flow that another epoch decided. */
NOINLINE void decide_again(struct context *context, struct wardline_flow *flow)
{
	__u32 before = flow->flags;
	__u32 after = before & ~(WARDLINE_FLOW_DENIED | WARDLINE_FLOW_OBSERVE_ONLY);
	struct decision decision = {};

	read_clock(context);
	flow->set = find_set(context->skb, &context->view);
	if (context->view.epoch)
		find_decision(context->view.slot, flow->set, flow->direction, &context->packet.key.remote,
			      context->packet.key.protocol, flow->policy_port, &decision);
	after |= decision.flags;
	flow->decision = decision.index;
	flow->flags = after;
	flow->epoch = context->view.epoch;
	if (!(after & WARDLINE_FLOW_DENIED)) {
		if (was_cut_off(before))
			resume_flow(context, flow, 0, 0);
		return;
	}
	if (drops(context, flow))
		end_flow(context, flow);
	if (!(before & WARDLINE_FLOW_DENIED) && !drops(context, flow))
		report_flow(context, flow, WARDLINE_EVENT_DENY, 0);
}

/* Follows the closing handshake. */
NOINLINE void follow_closing(struct context *context, struct wardline_flow *flow)
{
	__u8 signs = context->packet.signs;
	__u32 flags = flow->flags;

	/* From here on the flow table follows each packet. */
	forget_kept(context);
	if (signs & SIGN_RESET) {
		__sync_fetch_and_or(&flow->flags, WARDLINE_FLOW_RESET);
		end_flow(context, flow);
	} else if (signs & SIGN_FIN) {
		__u32 mark = context->direction == WARDLINE_EGRESS ? WARDLINE_FLOW_FIN_EGRESS : WARDLINE_FLOW_FIN_INGRESS;
		__u32 both = WARDLINE_FLOW_FIN_EGRESS | WARDLINE_FLOW_FIN_INGRESS;

		__sync_fetch_and_or(&flow->flags, mark);
		if (((flags | mark) & both) == both)
			end_flow(context, flow);
	} else if (unlikely(flags & WARDLINE_FLOW_RESET) && context->direction == WARDLINE_EGRESS &&
		   !(flags & WARDLINE_FLOW_DENIED)) {
		/* Our own stack goes on sending: the reset was forged or out of window, the flow lives. */
		resume_flow(context, flow, packet_count(context->skb), context->skb->len);
	}
}

INLINE void mark_seen(struct context *context, struct wardline_flow *flow)
{
	if (!context->now)
		return;
	flow->last_seen_ns = context->now;
	flow->tick = bpf_jiffies64();
}

INLINE void add_packet(struct context *context, struct wardline_flow *flow)
{
	mark_seen(context, flow);
	__sync_fetch_and_add(&flow->packets, packet_count(context->skb));
	__sync_fetch_and_add(bytes_of(flow, context->direction), context->skb->len);
}

/* In openings.h. */
NOINLINE int open_flow(struct context *context, struct wardline_flow *known);

/* Verdict for a packet of a known flow: 1 passes. */
INLINE int continue_flow(struct context *context, struct wardline_flow *flow)
{
	int dropped;

	if (unlikely(flow->epoch != context->view.epoch))
		decide_again(context, flow);
	dropped = drops(context, flow);
	/* Without a handshake each side may open: that one side lost its permission says nothing about the other. */
	if (unlikely(dropped) && context->direction != flow->direction && !context->packet.signs)
		return open_flow(context, flow);
	count_decision(context->skb, &context->view, flow->decision, context->now);
	if (unlikely(dropped)) {
		read_clock(context);
		mark_seen(context, flow);
		report_flow(context, flow, WARDLINE_EVENT_DENY, 1);
		return 0;
	}
	add_packet(context, flow);
	if (context->direction != flow->direction && !(flow->flags & WARDLINE_FLOW_ANSWERED))
		__sync_fetch_and_or(&flow->flags, WARDLINE_FLOW_ANSWERED);
	if (unlikely(context->packet.signs & (SIGN_FIN | SIGN_RESET)) || unlikely(flow->flags & WARDLINE_FLOW_RESET))
		follow_closing(context, flow);
	else if (flow->flags & WARDLINE_FLOW_ANSWERED)
		keep_verdict(context, flow);
	return 1;
}

/* A port that another workload now uses does not inherit its flows. */
INLINE int belongs_to_other_set(const struct context *context, const struct wardline_flow *flow)
{
	__u64 cgroup_id;

	if (likely(!context->view.workloads))
		return 0;
	cgroup_id = bpf_skb_cgroup_id(context->skb);
	return cgroup_id && cgroup_id != flow->cgroup_id && find_set(context->skb, &context->view) != flow->set;
}

INLINE int has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

NOINLINE int decide_builtin(struct context *context, __u32 builtin)
{
	read_clock(context);
	struct report report = {
		.now = context->now,
		.packets = 1,
		.originator_bytes = context->skb->len,
		.epoch = context->view.epoch,
		.decision = builtin,
		.kind = WARDLINE_EVENT_DENY,
		.denied = 1,
		.direction = context->direction,
	};

	count_decision(context->skb, &context->view, builtin, context->now);
	if (!builtin_flags(builtin))
		return 1;
	report.dropped = context->view.enforce;
	report.cgroup_id = bpf_skb_cgroup_id(context->skb);
	emit_deny_event(&context->packet, &report, 0);
	return !report.dropped;
}

/* Whether the packet that an ICMP error quotes belongs to a flow that may pass. */
NOINLINE int quotes_live_flow(struct context *context)
{
	struct __sk_buff *skb = context->skb;
	struct ip_headers quoted = {};
	struct wardline_flow_key key = {};
	struct wardline_flow *flow;
	__u32 offset = context->packet.payload_offset + 8;
	/* The quoted packet went the other way. */
	int was_egress = context->direction == WARDLINE_INGRESS;
	__u16 source = 0, destination = 0;
	__u8 first;

	/* An error about IPv4 quotes IPv4, one about IPv6 quotes IPv6. */
	if (bpf_skb_load_bytes(skb, offset, &first, 1))
		return 0;
	if (context->packet.key.protocol == IPPROTO_ICMP ? read_ipv4(skb, offset, 0, 1, &quoted) : read_ipv6(skb, offset, 0, 1, &quoted))
		return 0;
	key.local = was_egress ? quoted.source : quoted.destination;
	key.remote = was_egress ? quoted.destination : quoted.source;
	key.protocol = quoted.protocol;
	if (quoted.protocol == IPPROTO_ICMP || quoted.protocol == IPPROTO_ICMPV6) {
		__u16 identifier;

		if (bpf_skb_load_bytes(skb, quoted.payload_offset, &first, 1) ||
		    bpf_skb_load_bytes(skb, quoted.payload_offset + 4, &identifier, 2) ||
		    !is_icmp_request(quoted.protocol, first))
			return 0;
		key.local_port = network16(identifier);
		key.remote_port = 1 + was_egress;
	} else if (has_ports(quoted.protocol)) {
		if (read_ports(skb, quoted.payload_offset, &source, &destination))
			return 0;
		key.local_port = was_egress ? source : destination;
		key.remote_port = was_egress ? destination : source;
	}
	flow = bpf_map_lookup_elem(&wl_flows, &key);
	/* A flow of another epoch counts as alive only once one of its own packets was judged again. */
	return flow && flow->epoch == context->view.epoch && !drops(context, flow);
}

#endif
