/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that the flow table does not know: whose flow they open, what policy says of it, and its entry when it may pass. */
#ifndef WARDLINE_OPENINGS_H
#define WARDLINE_OPENINGS_H

#include "events.h"
#include "flows.h"
#include "helpers.h"
#include "maps.h"
#include "memory.h"
#include "packet.h"
#include "policy.h"
#include "wardline.h"

/*
 * Who opened a flow that the table does not know. The handshake says it; a connection older than the agent does not,
 * and is judged by its lower port, which is nearly always the service.
 */
INLINE int opener_direction(const struct context *context)
{
	const struct packet *packet = &context->packet;

	if (packet->signs & SIGN_ANSWERS)
		return !context->direction;
	if (packet->signs & SIGN_MIDDLE)
		return packet->key.local_port <= packet->key.remote_port ? WARDLINE_INGRESS : WARDLINE_EGRESS;
	return context->direction;
}

/* Fills the entry, which is zero, of the flow that this packet makes known, as policy has it. The clock was read. */
INLINE void judge_opening(struct context *context, struct wardline_flow *flow, int direction)
{
	struct packet *packet = &context->packet;
	struct decision decision = {};

	flow->last_seen_ns = context->now;
	flow->tick = bpf_jiffies64();
	flow->packets = packet_count(context->skb);
	flow->epoch = context->view.epoch;
	flow->direction = direction;
	*bytes_of(flow, context->direction) = context->skb->len;
	if (has_ports(packet->key.protocol))
		packet->policy_port = direction == WARDLINE_EGRESS ? packet->key.remote_port : packet->key.local_port;
	flow->policy_port = packet->policy_port;
	flow->cgroup_id = bpf_skb_cgroup_id(context->skb);
	flow->set = find_set(context->skb, &context->view);
	if (flow->epoch)
		recall_decision(context->view.slot, flow->epoch, flow->set, direction, &packet->key.remote,
				packet->key.protocol, packet->policy_port, &decision);
	flow->decision = decision.index;
	flow->flags = decision.flags;
	if (direction != context->direction)
		flow->flags |= WARDLINE_FLOW_ANSWERED;
}

INLINE int is_of_unsettled(struct context *context)
{
	return unlikely(context->view.workloads) && unlikely(is_unsettled(context->skb, context->now));
}

/* `known` is the entry that a new opening may replace. Returns 1 to pass. */
NOINLINE int open_flow(struct context *context, struct wardline_flow *known)
{
	struct packet *packet = &context->packet;
	struct wardline_flow flow = {};
	int dropped;
	long failed;

	read_clock(context);
	if (is_of_unsettled(context))
		return decide_builtin(context, WARDLINE_DECISION_UNSETTLED_WORKLOAD);
	judge_opening(context, &flow, opener_direction(context));
	dropped = drops(context, &flow);
	count_decision(context->skb, &context->view, flow.decision, context->now);
	if (dropped || (packet->signs & SIGN_ICMP_ERROR)) {
		if (flow.flags & WARDLINE_FLOW_DENIED)
			report_flow(context, &flow, WARDLINE_EVENT_DENY, dropped);
		return !dropped;
	}
	if (known)
		end_flow(context, known);
	note_opening(!!known);
	/* The end report wrote the known flow's port into the packet. */
	packet->policy_port = flow.policy_port;
	failed = bpf_map_update_elem(&wl_flows, &context->packet.key, &flow, known ? BPF_ANY : BPF_NOEXIST);
	/* The other CPU's packet of the same flow was first and has reported it. */
	if (failed == -17)
		return 1;
	if (failed)
		count_loss(WARDLINE_LOSS_FLOW_TABLE);
	report_flow(context, &flow, flow.flags & WARDLINE_FLOW_DENIED ? WARDLINE_EVENT_DENY : WARDLINE_EVENT_START, 0);
	return 1;
}

/*
 * Enters a connection that the packet opens without looking for its tuple in the flow table first, which is nearly as dear as
 * the entry and mostly in vain. 0 = nothing was done, because the tuple is known, or is where the last opening found one
 * (a client that goes through its ports quickly), or policy does not plainly allow it.
 */
NOINLINE int open_unseen_flow(struct context *context)
{
	struct processor *processor = this_processor();
	struct wardline_flow flow = {};

	if (!processor || processor->met_known || (context->socket && context->socket->epoch))
		return 0;
	read_clock(context);
	if (is_of_unsettled(context))
		return 0;
	judge_opening(context, &flow, context->direction);
	if ((flow.flags & WARDLINE_FLOW_DENIED) ||
	    bpf_map_update_elem(&wl_flows, &context->packet.key, &flow, BPF_NOEXIST))
		return 0;
	count_decision(context->skb, &context->view, flow.decision, context->now);
	report_flow(context, &flow, WARDLINE_EVENT_START, 0);
	return 1;
}

#endif
