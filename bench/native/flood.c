// SPDX-License-Identifier: Apache-2.0
// A scan: TCP SYNs or UDP datagrams from random IPv4 sources and ports, as fast as one processor can send them.
//
//   flood syn|udp DESTINATION PORT MILLISECONDS
//
// A raw socket, so it needs CAP_NET_RAW. Prints one line of JSON: how many were sent.
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "sockets.h"

static unsigned long long state = 88172645463325252ull;

static unsigned int random32(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)(state >> 16);
}

static unsigned short checksum(const void *bytes, size_t length, unsigned long sum)
{
	const unsigned short *words = bytes;

	for (; length > 1; length -= 2)
		sum += *words++;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned short)~sum;
}

struct packet {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct udphdr udp;
	};
} __attribute__((packed));

static size_t fill(struct packet *packet, int is_syn, struct in_addr destination, unsigned short port)
{
	size_t transport = is_syn ? sizeof(packet->tcp) : sizeof(packet->udp);
	unsigned long pseudo;

	memset(packet, 0, sizeof(*packet));
	packet->ip.version = 4;
	packet->ip.ihl = 5;
	packet->ip.ttl = 64;
	packet->ip.protocol = is_syn ? IPPROTO_TCP : IPPROTO_UDP;
	/* 11.0.0.0 to 90.255.255.255: no loopback, no multicast, none of the lab's own. */
	packet->ip.saddr = htonl(((11 + random32() % 80) << 24) | (random32() & 0xffffff));
	packet->ip.daddr = destination.s_addr;
	packet->ip.tot_len = htons((unsigned short)(sizeof(packet->ip) + transport));
	pseudo = (packet->ip.saddr & 0xffff) + (packet->ip.saddr >> 16) + (packet->ip.daddr & 0xffff) +
		 (packet->ip.daddr >> 16) + htons(packet->ip.protocol) + htons((unsigned short)transport);
	if (is_syn) {
		packet->tcp.source = htons((unsigned short)(1024 + random32() % 60000));
		packet->tcp.dest = htons(port);
		packet->tcp.seq = random32();
		packet->tcp.doff = 5;
		packet->tcp.syn = 1;
		packet->tcp.window = htons(65535);
		packet->tcp.check = checksum(&packet->tcp, transport, pseudo);
	} else {
		packet->udp.source = htons((unsigned short)(1024 + random32() % 60000));
		packet->udp.dest = htons(port);
		packet->udp.len = htons((unsigned short)transport);
	}
	return sizeof(packet->ip) + transport;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage storage;
	struct sockaddr_in *address = (struct sockaddr_in *)&storage;
	unsigned long long start = now_ns(), end, now = start, sent = 0, failed = 0;
	int fd;

	if (argc != 5) {
		fprintf(stderr, "usage: flood syn|udp DESTINATION PORT MILLISECONDS\n");
		return 2;
	}
	parse("4", argv[2], argv[3], &storage);
	end = start + strtoull(argv[4], NULL, 10) * 1000000ull;
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0)
		fail("socket");
	while (now < end) {
		for (int i = 0; i < 64; i++) {
			struct packet packet;
			size_t length = fill(&packet, strcmp(argv[1], "syn") == 0, address->sin_addr, (unsigned short)atoi(argv[3]));

			if (sendto(fd, &packet, length, 0, (struct sockaddr *)address, sizeof(*address)) == (ssize_t)length)
				sent++;
			else
				failed++;
		}
		now = now_ns();
	}
	printf("{\"sent\":%llu,\"failed\":%llu,\"nanoseconds\":%llu}\n", sent, failed, now - start);
	return 0;
}
