// SPDX-License-Identifier: Apache-2.0
// One process each side of the connection set-up benchmark.
//
//   connect server FAMILY ADDRESS PORT              answers one byte per connection until it is killed
//   connect client FAMILY ADDRESS PORT MILLISECONDS connect, send one byte, receive one, close with RST; repeat
//
// The client closes with RST (SO_LINGER 0) so that no TIME_WAIT socket piles up and slows the port search. It prints one
// line of JSON: connections, mean and percentiles in nanoseconds of the whole cycle.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000000ull + (unsigned long long)ts.tv_nsec;
}

static socklen_t parse(const char *family, const char *address, const char *port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (strcmp(family, "6") == 0) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((unsigned short)atoi(port));
		if (inet_pton(AF_INET6, address, &in6->sin6_addr) != 1)
			exit(2);
		return sizeof(*in6);
	}
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;

	in4->sin_family = AF_INET;
	in4->sin_port = htons((unsigned short)atoi(port));
	if (inet_pton(AF_INET, address, &in4->sin_addr) != 1)
		exit(2);
	return sizeof(*in4);
}

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static int run_server(struct sockaddr_storage *address, socklen_t length)
{
	int one = 1;
	int listener = socket(address->ss_family, SOCK_STREAM, 0);

	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		fail("socket");
	if (bind(listener, (struct sockaddr *)address, length) || listen(listener, 1024))
		fail("listen");
	puts("ready");
	fflush(stdout);
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

static int compare(const void *left, const void *right)
{
	unsigned int a = *(const unsigned int *)left, b = *(const unsigned int *)right;

	return a < b ? -1 : a > b;
}

static int run_client(struct sockaddr_storage *address, socklen_t length, long milliseconds)
{
	const size_t capacity = 4000000;
	unsigned int *samples = malloc(capacity * sizeof(*samples));
	size_t count = 0;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	int one = 1;
	unsigned long long start = now_ns(), end = start + (unsigned long long)milliseconds * 1000000ull, before = start;

	if (!samples)
		fail("malloc");
	while (before < end && count < capacity) {
		char byte = 'x';
		int connection = socket(address->ss_family, SOCK_STREAM, 0);

		if (connection < 0)
			fail("socket");
		setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (connect(connection, (struct sockaddr *)address, length))
			fail("connect");
		if (write(connection, &byte, 1) != 1 || read(connection, &byte, 1) != 1)
			fail("exchange");
		close(connection);
		unsigned long long after = now_ns();

		samples[count++] = (unsigned int)(after - before);
		before = after;
	}
	double mean = (double)(before - start) / (double)count;

	qsort(samples, count, sizeof(*samples), compare);
	printf("{\"connections\":%zu,\"meanNs\":%.0f,\"p50Ns\":%u,\"p99Ns\":%u,\"p999Ns\":%u}\n", count, mean, samples[count / 2],
	       samples[count * 99 / 100], samples[count * 999 / 1000]);
	free(samples);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;

	if (argc == 5 && strcmp(argv[1], "server") == 0)
		{
		socklen_t length = parse(argv[2], argv[3], argv[4], &address);

		return run_server(&address, length);
	}
	if (argc == 6 && strcmp(argv[1], "client") == 0)
		{
		socklen_t length = parse(argv[2], argv[3], argv[4], &address);

		return run_client(&address, length, atol(argv[5]));
	}
	fprintf(stderr, "usage: connect server|client FAMILY ADDRESS PORT [MILLISECONDS]\n");
	return 2;
}
