// SPDX-License-Identifier: Apache-2.0
// New UDP flows at a fixed rate, or as fast as it goes: every datagram has a pair of ports of its own.
//
//   flows ADDRESS FIRST_PORT PORTS COUNT PER_SECOND     PER_SECOND 0 = no limit
//
// One socket for each turn over the ports. Prints one line of JSON: sent, refused by the host, and how long it took.
#include "sockets.h"

static void wait_until(unsigned long long when)
{
	struct timespec ts = { .tv_sec = (time_t)(when / 1000000000ull), .tv_nsec = (long)(when % 1000000000ull) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

int main(int argc, char **argv)
{
	unsigned long long sent = 0, refused = 0, start, count, per_second, per_tick;
	struct sockaddr_storage address;
	socklen_t length;
	unsigned int first, ports, port = 0;
	int fd = -1;

	if (argc != 6) {
		fprintf(stderr, "usage: flows ADDRESS FIRST_PORT PORTS COUNT PER_SECOND\n");
		return 2;
	}
	length = parse(strchr(argv[1], ':') ? "6" : "4", argv[1], argv[2], &address);
	first = (unsigned int)atoi(argv[2]);
	ports = (unsigned int)atoi(argv[3]);
	count = strtoull(argv[4], NULL, 10);
	per_second = strtoull(argv[5], NULL, 10);
	/* In ticks of 10 ms. */
	per_tick = per_second / 100 ? per_second / 100 : 1;
	start = now_ns();
	for (unsigned long long done = 0; done < count; done++) {
		if (fd < 0 || port == ports) {
			if (fd >= 0)
				close(fd);
			fd = socket(address.ss_family, SOCK_DGRAM, 0);
			if (fd < 0)
				fail("socket");
			port = 0;
		}
		((struct sockaddr_in *)&address)->sin_port = htons((unsigned short)(first + port++));
		if (sendto(fd, "flow", 4, 0, (struct sockaddr *)&address, length) == 4)
			sent++;
		else
			refused++;
		if (per_second && (done + 1) % per_tick == 0)
			wait_until(start + (done + 1) * 1000000000ull / per_second);
	}
	printf("{\"sent\":%llu,\"refused\":%llu,\"nanoseconds\":%llu}\n", sent, refused, now_ns() - start);
	return 0;
}
