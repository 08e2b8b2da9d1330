/*
 * Floods a host on the link with packets that each open another flow:
 *
 *   flood syn|udp|reset IFNAME DESTINATION_MAC DESTINATION PORT FIRST COUNT PER_SECOND
 *
 * Packet n comes from 10.128.0.0/9 and a port that follow from n, so that no two are of one flow; FIRST lets another flood
 * go on where one ended. `reset` follows each opening with its reset, which ends the flow. DESTINATION is an IPv4 address.
 * Prints how many flows were sent. Exit 1 when the kernel refused a packet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct __attribute__((packed)) frame {
	uint8_t to[6], from[6];
	uint16_t type;
	uint8_t version_words, service;
	uint16_t length, id, fragment;
	uint8_t ttl, protocol;
	uint16_t header_sum;
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	union {
		struct __attribute__((packed)) {
			uint32_t sequence, acknowledged;
			uint8_t words, flags;
			uint16_t window, sum, urgent;
		} tcp;
		struct __attribute__((packed)) {
			uint16_t length, sum;
		} udp;
	};
};

#define IP_OFFSET 14
#define TRANSPORT_OFFSET 34
#define SYN 2
#define RST 4

static uint32_t add_words(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (bytes[i] << 8) | bytes[i + 1];
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static size_t build(struct frame *frame, uint32_t number)
{
	int is_tcp = frame->protocol == IPPROTO_TCP;
	size_t size = is_tcp ? 20 : 8;
	uint8_t *transport = (uint8_t *)frame + TRANSPORT_OFFSET;
	uint32_t sum;

	frame->source = htonl(0x0a800000 | ((number / 60000 + 1) << 8) | (number % 250 + 1));
	frame->source_port = htons(1024 + number % 60000);
	frame->length = htons(20 + size);
	frame->header_sum = 0;
	frame->header_sum = folded(add_words(0, (uint8_t *)frame + IP_OFFSET, 20));
	if (is_tcp) {
		/* A reset is taken only where the other end would go on. */
		frame->tcp.sequence = htonl(number + (frame->tcp.flags == RST));
		frame->tcp.sum = 0;
	} else {
		frame->udp.length = htons(size);
		frame->udp.sum = 0;
	}
	sum = add_words(0, &frame->source, 8) + frame->protocol + size;
	sum = add_words(sum, transport, size);
	if (is_tcp)
		frame->tcp.sum = folded(sum);
	else
		frame->udp.sum = folded(sum);
	return TRANSPORT_OFFSET + size;
}

static int send_frame(int fd, const struct sockaddr_ll *link, struct frame *frame, uint32_t number)
{
	size_t size = build(frame, number);

	while (sendto(fd, frame, size, 0, (const struct sockaddr *)link, sizeof(*link)) != (ssize_t)size)
		if (errno != ENOBUFS)
			return -1;
	return 0;
}

static double now_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct frame frame = { .type = htons(ETH_P_IP), .version_words = 0x45, .ttl = 64 };
	struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	unsigned int mac[6];
	uint32_t first, count, sent = 0;
	double per_second, start;
	int fd, has_reset;

	if (argc != 9 || sscanf(argv[3], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6 ||
	    inet_pton(AF_INET, argv[4], &frame.destination) != 1)
		return 2;
	for (int i = 0; i < 6; i++)
		frame.to[i] = mac[i];
	frame.from[0] = 2;
	frame.protocol = !strcmp(argv[1], "udp") ? IPPROTO_UDP : IPPROTO_TCP;
	has_reset = !strcmp(argv[1], "reset");
	frame.destination_port = htons(atoi(argv[5]));
	if (frame.protocol == IPPROTO_TCP) {
		frame.tcp.words = 5 << 4;
		frame.tcp.window = htons(64240);
	}
	first = strtoul(argv[6], 0, 10);
	count = strtoul(argv[7], 0, 10);
	per_second = atof(argv[8]);
	link.sll_ifindex = if_nametoindex(argv[2]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || !link.sll_ifindex) {
		perror("flood: socket");
		return 1;
	}
	start = now_seconds();
	while (sent < count) {
		if (sent >= (now_seconds() - start) * per_second) {
			struct timespec pause = { .tv_nsec = 200000 };

			nanosleep(&pause, 0);
			continue;
		}
		if (frame.protocol == IPPROTO_TCP)
			frame.tcp.flags = SYN;
		if (send_frame(fd, &link, &frame, first + sent)) {
			perror("flood: sendto");
			return 1;
		}
		if (has_reset) {
			frame.tcp.flags = RST;
			if (send_frame(fd, &link, &frame, first + sent))
				return 1;
		}
		sent++;
	}
	printf("%u\n", sent);
	return 0;
}
