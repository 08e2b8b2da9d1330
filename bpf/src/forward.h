/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that this host forwards for others. Both ways of the host's own policy must allow them: in from their source, and
 * out to their destination. Their flows are in the flow table with the service as the local end, as if the one who opened
 * them had come to this host.
 */
#ifndef WARDLINE_FORWARD_H
#define WARDLINE_FORWARD_H

/* The same flow, seen from the other end. */
INLINE void turn_around(struct wardline_flow_key *key)
{
	struct wardline_address address = key->local;
	__u16 port = key->local_port;

	key->local = key->remote;
	key->remote = address;
	if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6) {
		/* The identifier stays, what follows says who opened; see wardline_flow_key. */
		key->remote_port = 3 - key->remote_port;
		return;
	}
	key->local_port = key->remote_port;
	key->remote_port = port;
}

INLINE struct wardline_flow *find_forwarded(struct context *context)
{
	struct wardline_flow *flow = bpf_map_lookup_elem(&wl_flows, &context->packet.key);

	return flow && (flow->flags & WARDLINE_FLOW_FORWARDED) && !is_idle(context, flow) ? flow : 0;
}

/*
 * What the tables say about a flow from `remote` to `local`. Where one way denies, that one is the answer; an enforced
 * denial comes before one that is only observed. Returns the direction that decided.
 */
NOINLINE __u8 judge_forwarded(struct context *context, __u16 port, struct decision *decision)
{
	const struct wardline_flow_key *key = &context->packet.key;
	struct decision out = {};
	__u32 slot = context->view.slot;

	if (!context->view.epoch)
		return WARDLINE_INGRESS;
	find_decision(slot, 0, WARDLINE_INGRESS, &key->remote, key->protocol, port, decision);
	if (must_drop(&context->view, decision->flags))
		return WARDLINE_INGRESS;
	find_decision(slot, 0, WARDLINE_EGRESS, &key->local, key->protocol, port, &out);
	if (!(out.flags & WARDLINE_RESULT_DENY) ||
	    ((decision->flags & WARDLINE_RESULT_DENY) && !must_drop(&context->view, out.flags)))
		return WARDLINE_INGRESS;
	*decision = out;
	return WARDLINE_EGRESS;
}

/* Reports a denied packet. The source is the one who opened: turned around, it stands in the place of the local end. */
NOINLINE int settle_forwarded(struct context *context, const struct decision *decision, __u8 direction)
{
	if (direction == WARDLINE_EGRESS)
		turn_around(&context->packet.key);
	return settle(context, decision, direction);
}

NOINLINE void report_forwarded(struct context *context, const struct wardline_flow *flow, __u8 kind)
{
	struct report report = {
		.now = context->now,
		.packets = flow->packets,
		.originator_bytes = flow->originator_bytes,
		.responder_bytes = flow->responder_bytes,
		.epoch = flow->epoch,
		.decision = flow->decision,
		.kind = kind,
		.denied = !!(flow->flags & WARDLINE_FLOW_DENIED),
		.dropped = drops(context, flow),
		.direction = WARDLINE_INGRESS,
		.hook = WARDLINE_HOOK_EDGE,
	};

	emit_flow_event(&context->packet, &report, 0);
}

NOINLINE void end_forwarded(struct context *context, struct wardline_flow *flow)
{
	if (__sync_fetch_and_or(&flow->flags, WARDLINE_FLOW_ENDED) & WARDLINE_FLOW_ENDED)
		return;
	report_forwarded(context, flow, WARDLINE_EVENT_END);
}

/* Enters a flow that was let pass. A would-be denial was reported by the caller. */
NOINLINE int open_forwarded(struct context *context, struct wardline_flow *known, int is_answer)
{
	struct packet *packet = &context->packet;
	struct wardline_flow flow = {
		.last_seen_ns = context->now,
		.packets = packet_count(context->skb),
		.epoch = context->view.epoch,
		.direction = WARDLINE_INGRESS,
		.flags = WARDLINE_FLOW_FORWARDED,
	};
	struct decision decision = {};
	__u8 direction;
	long failed;

	if (has_ports(packet->key.protocol))
		packet->policy_port = packet->key.local_port;
	flow.policy_port = packet->policy_port;
	direction = judge_forwarded(context, flow.policy_port, &decision);
	if (must_drop(&context->view, decision.flags) || (packet->signs & SIGN_ICMP_ERROR))
		return settle_forwarded(context, &decision, direction);
	flow.decision = decision.index;
	flow.flags |= decision.flags;
	if (is_answer) {
		flow.flags |= WARDLINE_FLOW_ANSWERED;
		flow.responder_bytes = packet_bytes(context);
	} else {
		flow.originator_bytes = packet_bytes(context);
	}
	if (known)
		end_forwarded(context, known);
	failed = bpf_map_update_elem(&wl_flows, &packet->key, &flow, known ? BPF_ANY : BPF_NOEXIST);
	/* The other CPU's packet of the same flow was first and has reported it. */
	if (failed == -17)
		return EDGE_PASS;
	if (failed)
		count_loss(WARDLINE_LOSS_FLOW_TABLE);
	if (decision.flags & WARDLINE_RESULT_DENY)
		return settle_forwarded(context, &decision, direction);
	count_at_edge(context, decision.index);
	report_forwarded(context, &flow, WARDLINE_EVENT_START);
	return EDGE_PASS;
}

/*
 * Asks the tables about a flow that another epoch decided. Returns the direction that decided, and in `is_news` whether a
 * denial that only observation lets pass has to be reported.
 */
INLINE __u8 judge_forwarded_again(struct context *context, struct wardline_flow *flow, int *is_news)
{
	__u32 before = flow->flags;
	struct decision decision = {};
	__u8 direction = judge_forwarded(context, flow->policy_port, &decision);

	flow->flags = (before & ~(WARDLINE_FLOW_DENIED | WARDLINE_FLOW_OBSERVE_ONLY)) | decision.flags;
	flow->decision = decision.index;
	flow->epoch = context->view.epoch;
	if (!(decision.flags & WARDLINE_RESULT_DENY) && was_cut_off(before)) {
		flow->packets = 0;
		flow->originator_bytes = 0;
		flow->responder_bytes = 0;
		__sync_fetch_and_and(&flow->flags, ~(WARDLINE_FLOW_RESET | WARDLINE_FLOW_ENDED));
		report_forwarded(context, flow, WARDLINE_EVENT_START);
	}
	if (drops(context, flow))
		end_forwarded(context, flow);
	else
		*is_news = (decision.flags & WARDLINE_RESULT_DENY) && !(before & WARDLINE_FLOW_DENIED);
	return direction;
}

NOINLINE int continue_forwarded(struct context *context, struct wardline_flow *flow, int is_answer)
{
	struct decision decision;
	__u8 direction = WARDLINE_INGRESS;
	int is_news = 0;

	if (unlikely(flow->epoch != context->view.epoch))
		direction = judge_forwarded_again(context, flow, &is_news);
	context->packet.policy_port = flow->policy_port;
	mark_seen(context, flow);
	decision.index = flow->decision;
	decision.flags = flow->flags & (WARDLINE_FLOW_DENIED | WARDLINE_FLOW_OBSERVE_ONLY);
	if (drops(context, flow))
		return settle_forwarded(context, &decision, direction);
	if (unlikely(is_news))
		settle_forwarded(context, &decision, direction);
	else
		count_at_edge(context, flow->decision);
	__sync_fetch_and_add(&flow->packets, packet_count(context->skb));
	__sync_fetch_and_add(is_answer ? &flow->responder_bytes : &flow->originator_bytes, packet_bytes(context));
	if (is_answer && !(flow->flags & WARDLINE_FLOW_ANSWERED))
		__sync_fetch_and_or(&flow->flags, WARDLINE_FLOW_ANSWERED);
	if (unlikely(context->packet.signs & SIGN_RESET)) {
		end_forwarded(context, flow);
	} else if (unlikely(context->packet.signs & SIGN_FIN)) {
		__u32 both = WARDLINE_FLOW_FIN_EGRESS | WARDLINE_FLOW_FIN_INGRESS;
		__u32 mark = is_answer ? WARDLINE_FLOW_FIN_EGRESS : WARDLINE_FLOW_FIN_INGRESS;

		if (((__sync_fetch_and_or(&flow->flags, mark) | mark) & both) == both)
			end_forwarded(context, flow);
	}
	return EDGE_PASS;
}

/* An error about a forwarded flow, which may have been opened by either end. */
INLINE int quotes_forwarded_flow(struct context *context)
{
	int quotes = quotes_live_flow(context);

	if (quotes)
		return 1;
	context->direction = WARDLINE_EGRESS;
	quotes = quotes_live_flow(context);
	context->direction = WARDLINE_INGRESS;
	return quotes;
}

/* Whether the one who sent this packet is not the one who opened its flow; opener_direction says the same of sockets. */
INLINE int answers_somebody(const struct packet *packet)
{
	if (packet->signs & SIGN_ANSWERS)
		return 1;
	return (packet->signs & SIGN_MIDDLE) && packet->key.local_port > packet->key.remote_port;
}

/*
 * `builtin` is -1 or what denies the packet: a fragment among them. Without the ports of the first one the others cannot be
 * judged, and this hook comes before the kernel puts them together, so forwarded fragments are denied.
 */
NOINLINE int decide_forwarded(struct context *context, int builtin)
{
	struct packet *packet = &context->packet;
	struct wardline_flow *flow;
	int is_answer = answers_somebody(packet);

	if (builtin >= 0)
		return settle_builtin(context, builtin);
	if (unlikely(context->view.closed))
		return settle_builtin(context, WARDLINE_DECISION_EMERGENCY_CLOSED);
	if (packet->signs & SIGN_ICMP_ERROR)
		return quotes_forwarded_flow(context) ? EDGE_PASS : open_forwarded(context, 0, 0);
	flow = find_forwarded(context);
	/* A new opening is judged as such, also where it repeats a known tuple. */
	if (packet->signs & SIGN_OPENS)
		return flow && !(flow->flags & (WARDLINE_FLOW_ANSWERED | WARDLINE_FLOW_ENDED)) ?
			       continue_forwarded(context, flow, 0) :
			       open_forwarded(context, flow, 0);
	if (flow)
		return continue_forwarded(context, flow, 0);
	turn_around(&packet->key);
	flow = find_forwarded(context);
	if (flow)
		return continue_forwarded(context, flow, 1);
	if (!is_answer)
		turn_around(&packet->key);
	return open_forwarded(context, 0, is_answer);
}

#endif
