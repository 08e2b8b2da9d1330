/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup_skb programs. Return 1 to pass, 0 to drop. Order of a decision: read the control word once, read the packet,
 * builtin decisions, the flow table, the tables.
 */
#include "connect.h"
#include "early_drop.h"
#include "edge.h"
#include "flows.h"
#include "helpers.h"
#include "maps.h"
#include "openings.h"
#include "packet.h"
#include "policy.h"
#include "wardline.h"

INLINE int decide(struct __sk_buff *skb, int direction)
{
	struct wardline_socket *socket = find_socket(skb);
	struct wardline_recent *recent;

	if (likely(socket) && passes_by_socket(skb, socket, direction))
		return 1;
	recent = find_recent(skb);
	if (recent && passes_by_recent(skb, recent, direction))
		return 1;
	struct context context = { .skb = skb, .direction = direction, .socket = socket, .recent = recent };
	struct wardline_flow *flow;
	int builtin;

	read_view(&context.view);
	builtin = read_packet(skb, &context.packet, direction, 0);
	if (builtin >= 0)
		return decide_builtin(&context, builtin);
	if (unlikely(context.view.closed))
		return decide_builtin(&context, WARDLINE_DECISION_EMERGENCY_CLOSED);
	if (unlikely(context.packet.signs & SIGN_ICMP_ERROR)) {
		if (quotes_live_flow(&context))
			return decide_builtin(&context, WARDLINE_DECISION_PATH_MTU);
		return open_flow(&context, 0);
	}
	if ((context.packet.signs & SIGN_OPENS) && open_unseen_flow(&context))
		return 1;
	flow = find_flow(&context);
	if (!flow)
		return open_flow(&context, 0);
	if (unlikely(is_idle(&context, flow)) || belongs_to_other_set(&context, flow))
		return open_flow(&context, flow);
	/* A new opening on a known tuple, unless it repeats one that nobody answered yet. */
	if ((context.packet.signs & SIGN_OPENS) &&
	    (flow->direction != direction || (flow->flags & (WARDLINE_FLOW_ANSWERED | WARDLINE_FLOW_ENDED))))
		return open_flow(&context, flow);
	return continue_flow(&context, flow);
}

SEC("cgroup_skb/ingress")
int wardline_ingress(struct __sk_buff *skb)
{
	return decide(skb, WARDLINE_INGRESS);
}

SEC("cgroup_skb/egress")
int wardline_egress(struct __sk_buff *skb)
{
	return decide(skb, WARDLINE_EGRESS);
}

SEC("cgroup/connect4")
int wardline_connect4(struct bpf_sock_addr *context)
{
	struct wardline_address remote;

	map_ipv4(&remote, context->user_ip4);
	return judge_connect(context, &remote);
}

/* An IPv6 socket that connects to ::ffff:a.b.c.d meets the policy of IPv4: both are written alike. */
SEC("cgroup/connect6")
int wardline_connect6(struct bpf_sock_addr *context)
{
	struct wardline_address remote;

	read_ipv6_peer(context, &remote);
	return judge_connect(context, &remote);
}

SEC("cgroup/sendmsg4")
int wardline_sendmsg4(struct bpf_sock_addr *context)
{
	note_caller(context);
	return PROCEED;
}

SEC("cgroup/sendmsg6")
int wardline_sendmsg6(struct bpf_sock_addr *context)
{
	note_caller(context);
	return PROCEED;
}

SEC("cgroup/post_bind4")
int wardline_bind4(struct bpf_sock *context)
{
	note_binder(context);
	return PROCEED;
}

SEC("cgroup/post_bind6")
int wardline_bind6(struct bpf_sock *context)
{
	note_binder(context);
	return PROCEED;
}

SEC("cgroup/sock_release")
int wardline_release(struct bpf_sock *context)
{
	if (context->protocol == IPPROTO_UDP)
		fold_closed(context);
	return PROCEED;
}

/* At interfaces whose packets start with an Ethernet header. */
SEC("tc")
int wardline_edge_l2(struct __sk_buff *skb)
{
	return decide_at_edge(skb, ETH_HLEN);
}

/* At interfaces whose packets start with the IP header: tunnels, point to point. */
SEC("tc")
int wardline_edge_l3(struct __sk_buff *skb)
{
	return decide_at_edge(skb, 0);
}

SEC("tc")
int wardline_edge_out_l2(struct __sk_buff *skb)
{
	return note_translated(skb, ETH_HLEN);
}

SEC("tc")
int wardline_edge_out_l3(struct __sk_buff *skb)
{
	return note_translated(skb, 0);
}

SEC("xdp")
int wardline_early_drop(struct xdp_md *context)
{
	return drop_early(context);
}

/* See WARDLINE_SELFTEST_SLOT in wardline.h: never attached, run only through BPF_PROG_TEST_RUN. */
SEC("cgroup_skb/egress")
int wardline_selftest(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct decision decision = {};
	int direction = skb->cb[0] & WARDLINE_SELFTEST_EGRESS ? WARDLINE_EGRESS : WARDLINE_INGRESS;
	int builtin = read_any_packet(skb, &packet, direction, 0, 0);

	if (builtin >= 0) {
		decision.index = builtin;
		decision.flags = builtin_flags(builtin);
	} else {
		__u16 port = packet.policy_port;

		if (has_ports(packet.key.protocol))
			port = direction == WARDLINE_EGRESS ? packet.key.remote_port : packet.key.local_port;
		find_decision(skb->cb[0] & WARDLINE_SELFTEST_SLOT, skb->cb[1], direction, &packet.key.remote, packet.key.protocol,
			      port, &decision);
	}
	skb->cb[2] = decision.index;
	skb->cb[3] = decision.flags;
	skb->cb[4] = 1;
	return 1;
}

/* Gives these structs an entry in BTF, for the layout test. No program uses the section and no loader maps it. */
struct {
	struct wardline_event event;
	struct wardline_line line;
	struct wardline_early_key early_key;
	struct wardline_local_key local_key;
} wardline_layouts SEC("layouts");

char _license[] SEC("license") = "Dual BSD/GPL";
