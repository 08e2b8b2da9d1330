// SPDX-License-Identifier: Apache-2.0
// Somebody who just wants to work while others flood.
//
//   legitimate server PORT                                     echoes on every address, TCP and UDP
//   legitimate client ADDRESS PORT CONNECTIONS MILLISECONDS    IPv4
//
// The client opens CONNECTIONS long connections and prints "ready"; then it exchanges a byte on each in turn, and opens,
// uses and closes a new TCP connection every 10 ms. A step that takes more than three seconds counts as lost, and its
// connection as dead. Prints one line of JSON at the end.
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include "sockets.h"

#define PATIENCE_SECONDS 3

static void serve(const char *port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(port)) };
	int listener = socket(AF_INET6, SOCK_STREAM, 0);
	int epoll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	int one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 4096))
		fail("listen");
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	puts("ready");
	fflush(stdout);
	for (;;) {
		char byte;
		int fd;

		if (epoll_wait(epoll, &event, 1, -1) != 1)
			continue;
		fd = event.data.fd;
		if (fd == listener) {
			fd = accept(listener, NULL, NULL);
			if (fd < 0)
				continue;
			event.events = EPOLLIN;
			event.data.fd = fd;
			epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		} else if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1) {
			close(fd);
		}
	}
}

/* Connected within the limit, or -1. */
static int open_connection(const struct sockaddr_storage *address, socklen_t length)
{
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	int one = 1;
	int fd = socket(address->ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		fail("socket");
	/* The sending limit holds for connect() too. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)address, length) == 0)
		return fd;
	close(fd);
	return -1;
}

static int exchange(int fd)
{
	char byte = 'x';

	return write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
}

int main(int argc, char **argv)
{
	unsigned long long exchanges = 0, lost_flows = 0, opened = 0, lost_opens = 0, worst = 0, end, last_open = 0;
	struct sockaddr_storage address;
	socklen_t length;
	int connections, next = 0, *fds;

	if (argc == 3 && strcmp(argv[1], "server") == 0)
		serve(argv[2]);
	if (argc != 6 || strcmp(argv[1], "client")) {
		fprintf(stderr, "usage: legitimate server PORT | client ADDRESS PORT CONNECTIONS MILLISECONDS\n");
		return 2;
	}
	length = parse("4", argv[2], argv[3], &address);
	connections = atoi(argv[4]);
	fds = calloc((size_t)connections, sizeof(*fds));
	for (int i = 0; i < connections; i++) {
		fds[i] = open_connection(&address, length);
		if (fds[i] < 0 || !exchange(fds[i]))
			fail("the first exchange");
	}
	puts("ready");
	fflush(stdout);
	end = now_ns() + strtoull(argv[5], NULL, 10) * 1000000ull;
	while (now_ns() < end) {
		unsigned long long before = now_ns(), took;

		if (fds[next] >= 0) {
			if (exchange(fds[next])) {
				exchanges++;
			} else {
				lost_flows++;
				close(fds[next]);
				fds[next] = -1;
			}
		}
		next = (next + 1) % connections;
		if (before - last_open > 10000000ull) {
			int fd = open_connection(&address, length);

			last_open = before;
			if (fd >= 0 && exchange(fd))
				opened++;
			else
				lost_opens++;
			if (fd >= 0)
				close(fd);
		}
		took = now_ns() - before;
		worst = took > worst ? took : worst;
		poll(NULL, 0, 1);
	}
	printf("{\"exchanges\":%llu,\"lostFlows\":%llu,\"opened\":%llu,\"lostOpens\":%llu,\"worstMs\":%.1f}\n", exchanges,
	       lost_flows, opened, lost_opens, (double)worst / 1e6);
	return 0;
}
