// SPDX-License-Identifier: Apache-2.0
// Traffic of established flows.
//
//   exchange echo tcp|udp FAMILY ADDRESS PORT                   returns what it gets until it is killed
//   exchange pingpong tcp|udp FAMILY ADDRESS PORT MILLISECONDS [PAUSE_MICROSECONDS]
//                                                               64 bytes there and back, one at a time, on one socket;
//                                                               0 milliseconds = until SIGTERM
//   exchange sink udp FAMILY ADDRESS PORT                       counts datagrams; prints the count on SIGTERM
//   exchange send udp FAMILY ADDRESS PORT MILLISECONDS          64 bytes at a time as fast as it goes, on one socket
//
// pingpong prints one line of JSON: round trips, lost ones, mean, percentiles and the worst in nanoseconds.
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/time.h>

#include "sockets.h"

#define SIZE 64
#define PATIENCE_SECONDS 10

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int bound(int type, struct sockaddr_storage *address, socklen_t length)
{
	int fd = socket(address->ss_family, type, 0);
	int room = 8 << 20, one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)address, length))
		fail("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (type == SOCK_STREAM && listen(fd, 16))
		fail("listen");
	puts("ready");
	fflush(stdout);
	return fd;
}

/* One connection at a time. */
static void run_tcp_echo(int listener)
{
	char bytes[SIZE];
	int one = 1;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t got;

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
			if (send(fd, bytes, (size_t)got, MSG_NOSIGNAL) != got)
				break;
		close(fd);
	}
}

static void run_udp_echo(int fd)
{
	char bytes[2048];

	for (;;) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);

		if (got >= 0)
			sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, size);
	}
}

static void run_sink(int fd)
{
	struct sigaction action = { .sa_handler = stop };
	unsigned long long count = 0;
	char bytes[2048];

	sigaction(SIGTERM, &action, NULL);
	while (!stopped) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);

		/* One answer makes it an established flow for whoever follows flows. */
		if (got >= 0 && count++ == 0)
			sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, size);
	}
	printf("{\"received\":%llu}\n", count);
}

static int connected(int type, struct sockaddr_storage *address, socklen_t length)
{
	struct timeval patience = { .tv_usec = 200000 };
	int fd = socket(address->ss_family, type, 0);
	int one = 1;

	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fd < 0 || connect(fd, (struct sockaddr *)address, length))
		fail("connect");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void run_pingpong(int fd, long milliseconds, long pause_microseconds)
{
	struct sigaction action = { .sa_handler = stop };
	const size_t capacity = 20000000;
	unsigned int *samples = malloc(capacity * sizeof(*samples));
	unsigned long long start = now_ns(), end = start + (unsigned long long)milliseconds * 1000000ull, before = start;
	unsigned long long sum = 0, lost = 0, slow = 0;
	size_t count = 0;
	char bytes[SIZE] = "";

	if (!samples)
		fail("malloc");
	sigaction(SIGTERM, &action, NULL);
	while (!stopped && (!milliseconds || before < end) && count < capacity) {
		int answered = send(fd, bytes, SIZE, 0) == SIZE && recv(fd, bytes, SIZE, 0) == SIZE;
		unsigned long long after = now_ns();

		if (stopped)
			break;

		if (answered) {
			samples[count++] = (unsigned int)(after - before);
			sum += after - before;
			slow += after - before > 1000000ull;
		} else {
			lost++;
		}
		if (pause_microseconds)
			usleep((unsigned int)pause_microseconds);
		before = pause_microseconds ? now_ns() : after;
	}
	if (!count) {
		printf("{\"roundTrips\":0,\"lost\":%llu}\n", lost);
		exit(1);
	}
	qsort(samples, count, sizeof(*samples), compare);
	printf("{\"roundTrips\":%zu,\"lost\":%llu,\"meanNs\":%.0f,\"p50Ns\":%u,\"p99Ns\":%u,\"p999Ns\":%u,\"p9999Ns\":%u,"
	       "\"worstNs\":%u,\"overOneMillisecond\":%llu}\n",
	       count, lost, (double)sum / (double)count, samples[count / 2], samples[count * 99 / 100],
	       samples[count * 999 / 1000], samples[count - 1 - count / 10000], samples[count - 1], slow);
}

static void run_send(int fd, long milliseconds)
{
	unsigned long long start, end, now, sent = 0, refused = 0;
	char bytes[SIZE] = "";

	if (send(fd, bytes, SIZE, 0) != SIZE || recv(fd, bytes, SIZE, 0) != SIZE)
		fail("the first datagram");
	now = start = now_ns();
	end = start + (unsigned long long)milliseconds * 1000000ull;
	while (now < end) {
		for (int i = 0; i < 64; i++)
			if (send(fd, bytes, SIZE, 0) == SIZE)
				sent++;
			else
				refused++;
		now = now_ns();
	}
	printf("{\"sent\":%llu,\"refused\":%llu,\"nanoseconds\":%llu}\n", sent, refused, now - start);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;
	socklen_t length;
	int type;

	if (argc < 6) {
		fprintf(stderr, "usage: exchange echo|sink|pingpong|send tcp|udp FAMILY ADDRESS PORT [MILLISECONDS]\n");
		return 2;
	}
	type = strcmp(argv[2], "tcp") ? SOCK_DGRAM : SOCK_STREAM;
	length = parse(argv[3], argv[4], argv[5], &address);
	/* A peer that is gone must not hold a measurement up; servers and endless ones are stopped from outside. */
	if (argc > 6 && atol(argv[6]))
		alarm((unsigned int)(atol(argv[6]) / 1000) + PATIENCE_SECONDS);
	if (strcmp(argv[1], "echo") == 0 && type == SOCK_STREAM)
		run_tcp_echo(bound(type, &address, length));
	else if (strcmp(argv[1], "echo") == 0)
		run_udp_echo(bound(type, &address, length));
	else if (strcmp(argv[1], "sink") == 0)
		run_sink(bound(type, &address, length));
	else if (argc >= 7 && strcmp(argv[1], "pingpong") == 0)
		run_pingpong(connected(type, &address, length), atol(argv[6]), argc > 7 ? atol(argv[7]) : 0);
	else if (argc == 7 && strcmp(argv[1], "send") == 0)
		run_send(connected(type, &address, length), atol(argv[6]));
	else
		return 2;
	return 0;
}
