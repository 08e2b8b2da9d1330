// SPDX-License-Identifier: Apache-2.0
// One process each side of the connection set-up benchmark.
//
//   connect server PROTOCOL FAMILY ADDRESS PORT              answers one byte per connection until it is killed
//   connect client PROTOCOL FAMILY ADDRESS PORT MILLISECONDS connect, send one byte, receive one, close; repeat
//
// PROTOCOL is tcp or udp, FAMILY 4 or 6. A TCP client closes with RST (SO_LINGER 0) so that no TIME_WAIT socket piles up and
// slows the port search. A UDP "connection" is a new connected socket: a new flow for whatever follows flows. The client
// prints one line of JSON: connections, mean and percentiles in nanoseconds of the whole cycle.
#include <netinet/tcp.h>
#include <sys/time.h>

#include "sockets.h"

#define PATIENCE_SECONDS 10

static int open_server(int type, struct sockaddr_storage *address, socklen_t length)
{
	int one = 1;
	int fd = socket(address->ss_family, type, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		fail("socket");
	if (bind(fd, (struct sockaddr *)address, length))
		fail("bind");
	puts("ready");
	fflush(stdout);
	return fd;
}

static void run_tcp_server(struct sockaddr_storage *address, socklen_t length)
{
	int listener = open_server(SOCK_STREAM, address, length);

	if (listen(listener, 1024))
		fail("listen");
	for (;;) {
		char byte;
		int connection = accept(listener, NULL, NULL);

		if (connection < 0)
			continue;
		if (read(connection, &byte, 1) == 1 && write(connection, &byte, 1) != 1)
			perror("write");
		/* Wait for the client's RST so that its side, not ours, ends the connection. */
		if (read(connection, &byte, 1) > 0)
			perror("unexpected byte");
		close(connection);
	}
}

static void run_udp_server(struct sockaddr_storage *address, socklen_t length)
{
	int fd = open_server(SOCK_DGRAM, address, length);

	for (;;) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		char bytes[64];
		ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);

		if (got >= 0 && sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, size) < 0)
			perror("sendto");
	}
}

static void one_cycle(int type, struct sockaddr_storage *address, socklen_t length)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	struct timeval patience = { .tv_sec = 2 };
	int one = 1;
	char byte = 'x';
	int fd = socket(address->ss_family, type, 0);

	if (fd < 0)
		fail("socket");
	if (type == SOCK_STREAM) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	} else {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	}
	if (connect(fd, (struct sockaddr *)address, length))
		fail("connect");
	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		fail("exchange");
	close(fd);
}

static void run_client(int type, struct sockaddr_storage *address, socklen_t length, long milliseconds)
{
	const size_t capacity = 4000000;
	unsigned int *samples = malloc(capacity * sizeof(*samples));
	size_t count = 0;
	unsigned long long start = now_ns(), end = start + (unsigned long long)milliseconds * 1000000ull, before = start;

	if (!samples)
		fail("malloc");
	/* A connect that nobody answers would take two minutes to fail. */
	alarm((unsigned int)(milliseconds / 1000) + PATIENCE_SECONDS);
	while (before < end && count < capacity) {
		unsigned long long after;

		one_cycle(type, address, length);
		after = now_ns();
		samples[count++] = (unsigned int)(after - before);
		before = after;
	}
	if (!count)
		exit(2);
	double mean = (double)(before - start) / (double)count;

	qsort(samples, count, sizeof(*samples), compare);
	printf("{\"connections\":%zu,\"meanNs\":%.0f,\"p50Ns\":%u,\"p99Ns\":%u,\"p999Ns\":%u}\n", count, mean, samples[count / 2],
	       samples[count * 99 / 100], samples[count * 999 / 1000]);
	free(samples);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;
	socklen_t length;
	int type;

	if (argc < 6) {
		fprintf(stderr, "usage: connect server|client tcp|udp FAMILY ADDRESS PORT [MILLISECONDS]\n");
		return 2;
	}
	type = strcmp(argv[2], "udp") ? SOCK_STREAM : SOCK_DGRAM;
	length = parse(argv[3], argv[4], argv[5], &address);
	if (strcmp(argv[1], "client") == 0 && argc == 7)
		run_client(type, &address, length, atol(argv[6]));
	else if (type == SOCK_STREAM)
		run_tcp_server(&address, length);
	else
		run_udp_server(&address, length);
	return 0;
}
