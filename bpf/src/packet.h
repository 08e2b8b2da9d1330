/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a packet. At cgroup_skb data starts at the IP header. The plain case reads the buffer directly; everything else
 * reads with bpf_skb_load_bytes, because a header may lie outside of the linear part of the buffer.
 */
#ifndef WARDLINE_PACKET_H
#define WARDLINE_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>

#include "helpers.h"
#include "maps.h"
#include "wardline.h"

#define MAX_EXTENSION_HEADERS 8
/* Ethernet. VLAN tags are not in the buffer. */
#define MAX_LINK_HEADER 14
#define LOOPBACK_INDEX 1
/* Of a TCP header: up to and with the flags. UDP packets that are shorter are read the slow way. */
#define TCP_READ_BYTES 14
/* SOCK_RAW of <linux/net.h>. */
#define SOCKET_TYPE_RAW 3

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* What a packet says about its flow. */
#define SIGN_OPENS (1 << 0)
#define SIGN_ANSWERS (1 << 1)
#define SIGN_FIN (1 << 2)
#define SIGN_RESET (1 << 3)
/* Part of a conversation whose opener the packet itself does not name (TCP and SCTP after their handshake). */
#define SIGN_MIDDLE (1 << 4)
#define SIGN_ICMP_ERROR (1 << 5)

struct ip_headers {
	struct wardline_address source;
	struct wardline_address destination;
	__u32 payload_offset;
	__u8 protocol;
	__u8 hop_limit;
	__u8 version;
	__u8 pad;
};

struct packet {
	/* Also the key of its flow. */
	struct wardline_flow_key key;
	__u32 payload_offset;
	/* ICMP: type << 8 | code that policy is asked about. Filled for the others once the opener is known. */
	__u16 policy_port;
	__u8 signs;
	__u8 pad;
};

INLINE void map_ipv4(struct wardline_address *to, __u32 address)
{
	to->halves[0] = 0;
	to->words[2] = network32(0xffff);
	to->words[3] = address;
}

INLINE int same_address(const struct wardline_address *a, const struct wardline_address *b)
{
	return a->halves[0] == b->halves[0] && a->halves[1] == b->halves[1];
}

INLINE int is_loopback_address(const struct wardline_address *a)
{
	if (a->halves[0])
		return 0;
	if (a->words[2] == network32(0xffff))
		return a->bytes[12] == 127;
	return a->words[2] == 0 && a->words[3] == network32(1);
}

/* An embedded header (inside an ICMP error) is cut short, so its lengths are not compared with the packet's. */
INLINE int read_ipv4(struct __sk_buff *skb, __u32 offset, __u32 length, int embedded, struct ip_headers *ip)
{
	__u32 header[5];
	__u32 header_bytes, total_bytes, fragment;

	if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
		return WARDLINE_DECISION_MALFORMED;
	header_bytes = (header[0] & 0x0f) * 4;
	total_bytes = network16(header[0] >> 16);
	if (header_bytes < sizeof(header))
		return WARDLINE_DECISION_MALFORMED;
	/* A GSO packet over 64 kB carries a total length of 0. */
	if (!embedded && (total_bytes > length || (total_bytes < header_bytes && !(total_bytes == 0 && skb->gso_segs))))
		return WARDLINE_DECISION_MALFORMED;
	ip->hop_limit = header[2] & 0xff;
	ip->protocol = (header[2] >> 8) & 0xff;
	map_ipv4(&ip->source, header[3]);
	map_ipv4(&ip->destination, header[4]);
	fragment = network16(header[1] >> 16);
	if (fragment & (embedded ? 0x1fff : 0x3fff))
		return WARDLINE_DECISION_FRAGMENT;
	ip->payload_offset = offset + header_bytes;
	ip->version = 4;
	return 0;
}

INLINE int read_ipv6(struct __sk_buff *skb, __u32 offset, __u32 length, int embedded, struct ip_headers *ip)
{
	__u8 header[8];
	__u32 next_offset = offset + 40;
	__u8 next;
	int i;

	if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)) ||
	    bpf_skb_load_bytes(skb, offset + 8, &ip->source, 16) ||
	    bpf_skb_load_bytes(skb, offset + 24, &ip->destination, 16))
		return WARDLINE_DECISION_MALFORMED;
	if (!embedded && (((__u32)header[4] << 8) | header[5]) + 40 > length)
		return WARDLINE_DECISION_MALFORMED;
	next = header[6];
	ip->hop_limit = header[7];
	ip->version = 6;

	for (i = 0; i <= MAX_EXTENSION_HEADERS; i++) {
		__u8 extension[4];

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH && next != IPPROTO_MH && next != 139 && next != 140) {
			ip->protocol = next;
			ip->payload_offset = next_offset;
			return 0;
		}
		if (bpf_skb_load_bytes(skb, next_offset, extension, sizeof(extension)))
			return WARDLINE_DECISION_MALFORMED;
		if (next == IPPROTO_FRAGMENT) {
			/* An atomic fragment (offset 0, no more to come) is a whole packet. */
			__u32 fragment = ((__u32)extension[2] << 8) | extension[3];

			if (fragment & (embedded ? 0xfff8 : 0xfff9))
				return WARDLINE_DECISION_FRAGMENT;
			next_offset += 8;
		} else if (next == IPPROTO_AH) {
			next_offset += ((__u32)extension[1] + 2) * 4;
		} else {
			/* With segments left the destination in the header is not where the packet ends up. */
			if (next == IPPROTO_ROUTING && extension[3] != 0)
				return WARDLINE_DECISION_EXTENSION_HEADER;
			next_offset += ((__u32)extension[1] + 1) * 8;
		}
		next = extension[0];
	}
	return WARDLINE_DECISION_EXTENSION_HEADER;
}

/* 0, or the builtin decision for a packet that cannot be read. `length` counts from `offset` to the packet's end. */
INLINE int read_ip(struct __sk_buff *skb, __u32 offset, __u32 length, int embedded, struct ip_headers *ip)
{
	__u8 first;

	if (bpf_skb_load_bytes(skb, offset, &first, 1))
		return WARDLINE_DECISION_MALFORMED;
	if ((first >> 4) == 4)
		return read_ipv4(skb, offset, length, embedded, ip);
	if ((first >> 4) == 6)
		return read_ipv6(skb, offset, length, embedded, ip);
	return WARDLINE_DECISION_MALFORMED;
}

/* The type that opens the query which this type answers, or -1. */
INLINE int icmp_request_of(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type == 129 ? 128 : -1;
	return type == 0 ? 8 : type == 14 ? 13 : -1;
}

INLINE int is_icmp_request(__u8 protocol, __u8 type)
{
	return protocol == IPPROTO_ICMPV6 ? type == 128 : type == 8 || type == 13;
}

INLINE int is_icmp_error(__u8 protocol, __u8 type)
{
	return protocol == IPPROTO_ICMPV6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

/* Only with hop limit 255, which no router can forge (RFC 4861). Same types as ESSENTIAL_ICMP in domain/src/policy. */
INLINE int is_neighbor_discovery(const struct ip_headers *ip, __u8 type)
{
	return type >= 133 && type <= 137 && ip->hop_limit == 255;
}

INLINE int read_icmp(struct __sk_buff *skb, const struct ip_headers *ip, int direction, struct packet *packet)
{
	__u8 header[8];
	__u8 flow_direction = direction;
	int request;

	if (bpf_skb_load_bytes(skb, ip->payload_offset, header, 4))
		return WARDLINE_DECISION_MALFORMED;
	packet->policy_port = ((__u16)header[0] << 8) | header[1];
	if (ip->protocol == IPPROTO_ICMPV6) {
		if (is_neighbor_discovery(ip, header[0]))
			return WARDLINE_DECISION_NEIGHBOR_DISCOVERY;
		if (header[0] == 2)
			return WARDLINE_DECISION_PATH_MTU;
	} else if (header[0] == 3 && header[1] == 4) {
		return WARDLINE_DECISION_PATH_MTU;
	}
	if (is_icmp_error(ip->protocol, header[0])) {
		packet->signs = SIGN_ICMP_ERROR;
		return 0;
	}
	packet->key.local_port = packet->policy_port;
	request = icmp_request_of(ip->protocol, header[0]);
	if (request >= 0 || is_icmp_request(ip->protocol, header[0])) {
		if (bpf_skb_load_bytes(skb, ip->payload_offset + 4, header + 4, 4))
			return WARDLINE_DECISION_MALFORMED;
		packet->key.local_port = ((__u16)header[4] << 8) | header[5];
		if (request >= 0) {
			packet->policy_port = (__u16)request << 8;
			packet->signs = SIGN_ANSWERS;
			flow_direction = !direction;
		}
	}
	packet->key.remote_port = 1 + flow_direction;
	return 0;
}

/* Ports in packet order. Returns 0 or MALFORMED. */
INLINE int read_ports(struct __sk_buff *skb, __u32 offset, __u16 *source, __u16 *destination)
{
	__u16 ports[2];

	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return WARDLINE_DECISION_MALFORMED;
	*source = network16(ports[0]);
	*destination = network16(ports[1]);
	return 0;
}

INLINE __u8 tcp_signs(__u8 flags)
{
	if (flags & TCP_RST)
		return SIGN_MIDDLE | SIGN_RESET;
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return SIGN_OPENS;
	if (flags & TCP_SYN)
		return SIGN_ANSWERS;
	return SIGN_MIDDLE | (flags & TCP_FIN ? SIGN_FIN : 0);
}

INLINE int read_tcp_signs(struct __sk_buff *skb, __u32 offset, __u8 *signs)
{
	__u8 fields[2];

	if (bpf_skb_load_bytes(skb, offset + 12, fields, sizeof(fields)) || (fields[0] >> 4) < 5)
		return WARDLINE_DECISION_MALFORMED;
	*signs = tcp_signs(fields[1]);
	return 0;
}

INLINE int read_sctp_signs(struct __sk_buff *skb, __u32 offset, __u8 *signs)
{
	__u8 chunk;

	if (bpf_skb_load_bytes(skb, offset + 12, &chunk, 1))
		return WARDLINE_DECISION_MALFORMED;
	*signs = chunk == 1 ? SIGN_OPENS :
		 chunk == 2 ? SIGN_ANSWERS :
		 chunk == 6 || chunk == 14 ? SIGN_MIDDLE | SIGN_RESET : SIGN_MIDDLE;
	return 0;
}

INLINE int read_transport(struct __sk_buff *skb, const struct ip_headers *ip, int direction, struct packet *packet)
{
	__u16 source, destination;
	int problem = 0;

	if ((ip->protocol == IPPROTO_ICMP && ip->version == 4) || (ip->protocol == IPPROTO_ICMPV6 && ip->version == 6))
		return read_icmp(skb, ip, direction, packet);
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_SCTP)
		return 0;
	if (read_ports(skb, ip->payload_offset, &source, &destination))
		return WARDLINE_DECISION_MALFORMED;
	if (ip->protocol == IPPROTO_TCP)
		problem = read_tcp_signs(skb, ip->payload_offset, &packet->signs);
	else if (ip->protocol == IPPROTO_SCTP)
		problem = read_sctp_signs(skb, ip->payload_offset, &packet->signs);
	packet->key.local_port = direction == WARDLINE_EGRESS ? source : destination;
	packet->key.remote_port = direction == WARDLINE_EGRESS ? destination : source;
	return problem;
}

/*
 * On the way in only the interface proves that a packet is ours: a neighbour can put our own address in the source of an
 * IPv6 packet, and route_localnet lets 127.0.0.0/8 in. Without an interface (self-test) addresses have to do.
 */
INLINE int is_loopback(struct __sk_buff *skb, const struct ip_headers *ip, int direction, int has_interface)
{
	if (has_interface && skb->ifindex == LOOPBACK_INDEX)
		return 1;
	if (has_interface && direction == WARDLINE_INGRESS)
		return 0;
	return same_address(&ip->source, &ip->destination) ||
	       is_loopback_address(direction == WARDLINE_EGRESS ? &ip->destination : &ip->source);
}

/*
 * Fills `packet`, which must be zeroed. Returns -1 when policy has to be asked, else the builtin decision.
 * `has_interface` is 0 in the self-test, whose packets come from no interface. `offset` is where the IP header starts.
 *
 * Global on purpose: the verifier then walks its many paths once, and not once for each path that follows.
 */
GLOBAL int read_any_packet(struct __sk_buff *skb, struct packet *packet, int direction, int has_interface, __u32 offset)
{
	struct ip_headers ip = {};
	int builtin;

	if (!packet || offset > MAX_LINK_HEADER || skb->len < offset)
		return WARDLINE_DECISION_MALFORMED;
	if (skb->protocol != network16(ETH_P_IP) && skb->protocol != network16(ETH_P_IPV6))
		return WARDLINE_DECISION_NOT_IP;
	builtin = read_ip(skb, offset, skb->len - offset, 0, &ip);
	/* Also for what cannot be judged, so that its event says who sent it. */
	packet->key.local = direction == WARDLINE_EGRESS ? ip.source : ip.destination;
	packet->key.remote = direction == WARDLINE_EGRESS ? ip.destination : ip.source;
	packet->key.protocol = ip.protocol;
	packet->payload_offset = ip.payload_offset;
	if (builtin)
		return builtin;
	if ((ip.version == 4) != (skb->protocol == network16(ETH_P_IP)))
		return WARDLINE_DECISION_MALFORMED;
	if (is_loopback(skb, &ip, direction, has_interface))
		return WARDLINE_DECISION_LOOPBACK;
	builtin = read_transport(skb, &ip, direction, packet);
	return builtin ? builtin : -1;
}

#define READ_SLOWLY -2

/* 200::/7: addresses of the overlay, each made of the key of a node. MESH_PREFIX in domain/src/policy/model.ts. */
INLINE int is_overlay_address(const struct wardline_address *a)
{
	return (a->bytes[0] & 0xfe) == 0x02;
}

INLINE __u32 overlay_interface(void)
{
	__u32 zero = 0;
	struct wardline_control *control = bpf_map_lookup_elem(&wl_control, &zero);

	return control ? *(volatile __u32 *)&control->overlay_interface : 0;
}

/*
 * The overlay holds its senders to their keys, and nothing else does: a packet from such an address that came by another
 * interface is somebody's claim, and one to such an address would reach whoever answers there. `result` is what the packet
 * was read as; what is denied already stays that.
 */
INLINE int hold_to_overlay(struct __sk_buff *skb, struct packet *packet, int direction, int result)
{
	__u8 protocol = packet->key.protocol;

	if (likely(!is_overlay_address(&packet->key.remote)) || result == WARDLINE_DECISION_LOOPBACK ||
	    result >= WARDLINE_DECISION_MALFORMED || skb->ifindex == overlay_interface())
		return result;
	/* Also for the event. */
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP)
		packet->policy_port = direction == WARDLINE_EGRESS ? packet->key.remote_port : packet->key.local_port;
	return WARDLINE_DECISION_SPOOFED_OVERLAY;
}

/*
 * What nearly every packet is: TCP or UDP right behind an IP header without options or extensions, in the linear part of
 * the buffer, on an interface other than loopback. Says READ_SLOWLY about everything else, and never differs from
 * read_any_packet in what it does answer (a test compares the two).
 */
INLINE int read_plain_packet(struct __sk_buff *skb, struct packet *packet, int direction, __u32 offset)
{
	__u8 *ip = (__u8 *)(long)skb->data + offset;
	__u8 *end = (__u8 *)(long)skb->data_end;
	int egress = direction == WARDLINE_EGRESS;
	struct wardline_address *source = egress ? &packet->key.local : &packet->key.remote;
	struct wardline_address *destination = egress ? &packet->key.remote : &packet->key.local;
	__u8 *transport;
	__u16 first, second;

	if (skb->ifindex == LOOPBACK_INDEX || ip + 20 + TCP_READ_BYTES > end)
		return READ_SLOWLY;
	if (ip[0] == 0x45 && skb->protocol == network16(ETH_P_IP)) {
		__u32 total = network16(*(__u16 *)(ip + 2));

		if ((*(__u16 *)(ip + 6) & network16(0x3fff)) || total > skb->len - offset || total < 20 + TCP_READ_BYTES)
			return READ_SLOWLY;
		packet->key.protocol = ip[9];
		map_ipv4(source, *(__u32 *)(ip + 12));
		map_ipv4(destination, *(__u32 *)(ip + 16));
		transport = ip + 20;
	} else if ((ip[0] >> 4) == 6 && skb->protocol == network16(ETH_P_IPV6)) {
		if (ip + 40 + TCP_READ_BYTES > end || network16(*(__u16 *)(ip + 4)) + 40u > skb->len - offset)
			return READ_SLOWLY;
		packet->key.protocol = ip[6];
		source->words[0] = *(__u32 *)(ip + 8);
		source->words[1] = *(__u32 *)(ip + 12);
		source->words[2] = *(__u32 *)(ip + 16);
		source->words[3] = *(__u32 *)(ip + 20);
		destination->words[0] = *(__u32 *)(ip + 24);
		destination->words[1] = *(__u32 *)(ip + 28);
		destination->words[2] = *(__u32 *)(ip + 32);
		destination->words[3] = *(__u32 *)(ip + 36);
		transport = ip + 40;
	} else {
		return READ_SLOWLY;
	}
	if (egress && (same_address(source, destination) || is_loopback_address(destination)))
		return READ_SLOWLY;
	if (packet->key.protocol == IPPROTO_TCP) {
		if ((transport[12] >> 4) < 5)
			return READ_SLOWLY;
		packet->signs = tcp_signs(transport[13]);
	} else if (packet->key.protocol != IPPROTO_UDP) {
		return READ_SLOWLY;
	}
	first = network16(*(__u16 *)transport);
	second = network16(*(__u16 *)(transport + 2));
	packet->key.local_port = egress ? first : second;
	packet->key.remote_port = egress ? second : first;
	return -1;
}

/* The same contract as read_any_packet, for packets that come from an interface. */
GLOBAL int read_packet(struct __sk_buff *skb, struct packet *packet, int direction, __u32 offset)
{
	int result;

	if (!packet || offset > MAX_LINK_HEADER || skb->len < offset)
		return WARDLINE_DECISION_MALFORMED;
	result = read_plain_packet(skb, packet, direction, offset);
	if (unlikely(result == READ_SLOWLY)) {
		__builtin_memset(packet, 0, sizeof(*packet));
		result = read_any_packet(skb, packet, direction, 1, offset);
	}
	return hold_to_overlay(skb, packet, direction, result);
}

#endif
