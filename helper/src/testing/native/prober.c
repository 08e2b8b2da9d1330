// Probes of allowed and denied traffic, counted exactly.
//
//   prober serve ALLOWED DENIED              answers nothing; prints its counters for each line of input
//   prober probe ALLOWED DENIED V4 V6 HZ     per family and port: HZ datagrams and HZ new connections a second, until its
//                                            input ends; prints its counters then
//
// A connection counts as retried when its first segment had to be sent again: TCP itself says so, however late this
// process is scheduled.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ALLOWED, DENIED, KINDS };
enum { DENIED_MS = 200, ALLOWED_MS = 5000, MAX_OPEN = 16384, RECEIVE_BYTES = 32 << 20 };

static int64_t now_ms(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in6 address(const char *text, int port)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	if (inet_pton(AF_INET6, text, &to.sin6_addr) == 1)
		return to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&to;
	memset(&to, 0, sizeof(to));
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	if (inet_pton(AF_INET, text, &v4->sin_addr) != 1)
		fail(text);
	return to;
}

static socklen_t length(const struct sockaddr_in6 *to)
{
	return to->sin6_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int listening(int type, int port)
{
	int zero = 0, one = 1, bytes = RECEIVE_BYTES;
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)))
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 4096))
		fail("listen");
	return fd;
}

static void reset(int fd)
{
	struct linger linger = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static int serve(const int ports[KINDS])
{
	uint64_t datagrams[KINDS] = { 0 }, connections[KINDS] = { 0 };
	struct pollfd fds[1 + 2 * KINDS] = { { 0, POLLIN, 0 } };
	for (int kind = 0; kind < KINDS; kind++) {
		fds[1 + kind] = (struct pollfd){ listening(SOCK_DGRAM, ports[kind]), POLLIN, 0 };
		fds[1 + KINDS + kind] = (struct pollfd){ listening(SOCK_STREAM, ports[kind]), POLLIN, 0 };
	}
	printf("{}\n");
	fflush(stdout);
	for (;;) {
		char buffer[2048];
		poll(fds, 1 + 2 * KINDS, -1);
		for (int kind = 0; kind < KINDS; kind++) {
			int fd;
			while (recv(fds[1 + kind].fd, buffer, sizeof(buffer), 0) >= 0)
				datagrams[kind]++;
			while ((fd = accept4(fds[1 + KINDS + kind].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
				connections[kind]++;
				reset(fd);
			}
		}
		if (!(fds[0].revents & (POLLIN | POLLHUP)))
			continue;
		if (read(0, buffer, sizeof(buffer)) <= 0)
			return 0;
		printf("{\"allowedDatagrams\":%lu,\"deniedDatagrams\":%lu,\"allowedConnections\":%lu,\"deniedConnections\":%lu}\n",
		       datagrams[ALLOWED], datagrams[DENIED], connections[ALLOWED], connections[DENIED]);
		fflush(stdout);
	}
}

struct attempt {
	int64_t started_ms;
	int kind;
	int open;
};

static struct attempt attempts[MAX_OPEN];
static uint64_t datagrams_sent[KINDS], tried[KINDS], connected[KINDS], retried[KINDS], failed[KINDS], skipped;
static int epoll_fd;

static void begin(const struct sockaddr_in6 *to, int kind, int64_t time_ms)
{
	int fd = socket(to->sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || fd >= MAX_OPEN) {
		// Not tried, so nothing is known; a run that skips much says so.
		if (fd >= 0)
			close(fd);
		skipped++;
		return;
	}
	struct epoll_event event = { .events = EPOLLOUT, .data.fd = fd };
	tried[kind]++;
	if (connect(fd, (const struct sockaddr *)to, length(to)) && errno != EINPROGRESS) {
		failed[kind]++;
		close(fd);
		return;
	}
	attempts[fd] = (struct attempt){ time_ms, kind, 1 };
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void finish(int fd)
{
	struct attempt *attempt = &attempts[fd];
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int error = 0;
	socklen_t error_size = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	// The other end resets at once: a connection that was made and reset counts as made.
	if (error == 0 || error == ECONNRESET) {
		connected[attempt->kind]++;
		if (info.tcpi_total_retrans > 0)
			retried[attempt->kind]++;
	} else {
		failed[attempt->kind]++;
	}
	attempt->open = 0;
	reset(fd);
}

static void settle(int64_t time_ms)
{
	struct epoll_event events[256];
	for (int count = 256; count == 256;) {
		count = epoll_wait(epoll_fd, events, 256, 0);
		for (int at = 0; at < count; at++)
			finish(events[at].data.fd);
	}
	for (int fd = 0; fd < MAX_OPEN; fd++) {
		struct attempt *attempt = &attempts[fd];
		if (!attempt->open || time_ms - attempt->started_ms < (attempt->kind == DENIED ? DENIED_MS : ALLOWED_MS))
			continue;
		failed[attempt->kind]++;
		attempt->open = 0;
		reset(fd);
	}
}

static int any_open(void)
{
	for (int fd = 0; fd < MAX_OPEN; fd++)
		if (attempts[fd].open)
			return 1;
	return 0;
}

static int probe(const int ports[KINDS], char *const hosts[2], int hz)
{
	struct sockaddr_in6 to[2][KINDS];
	int datagram_fds[2][KINDS];
	struct pollfd input = { 0, POLLIN, 0 };
	struct timespec next;
	for (int family = 0; family < 2; family++)
		for (int kind = 0; kind < KINDS; kind++) {
			to[family][kind] = address(hosts[family], ports[kind]);
			datagram_fds[family][kind] = socket(to[family][kind].sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	clock_gettime(CLOCK_MONOTONIC, &next);
	printf("{}\n");
	fflush(stdout);
	for (uint64_t tick = 0; poll(&input, 1, 0) == 0; tick++) {
		for (int family = 0; family < 2; family++)
			for (int kind = 0; kind < KINDS; kind++) {
				const struct sockaddr_in6 *there = &to[family][kind];
				if (sendto(datagram_fds[family][kind], "probe", 5, 0, (const struct sockaddr *)there, length(there)) == 5)
					datagrams_sent[kind]++;
				begin(there, kind, now_ms());
			}
		if (tick % 10 == 0)
			settle(now_ms());
		next.tv_nsec += 1000000000L / hz;
		if (next.tv_nsec >= 1000000000L) {
			next.tv_nsec -= 1000000000L;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	while (any_open()) {
		settle(now_ms());
		usleep(5000);
	}
	printf("{\"allowedDatagrams\":%lu,\"deniedDatagrams\":%lu,\"allowedTried\":%lu,\"allowedConnected\":%lu,"
	       "\"allowedRetried\":%lu,\"allowedFailed\":%lu,\"deniedTried\":%lu,\"deniedConnected\":%lu,\"skipped\":%lu}\n",
	       datagrams_sent[ALLOWED], datagrams_sent[DENIED], tried[ALLOWED], connected[ALLOWED], retried[ALLOWED],
	       failed[ALLOWED], tried[DENIED], connected[DENIED], skipped);
	return 0;
}

int main(int count, char **words)
{
	struct rlimit limit = { MAX_OPEN, MAX_OPEN };
	setrlimit(RLIMIT_NOFILE, &limit);
	if (count < 4)
		return 2;
	const int ports[KINDS] = { atoi(words[2]), atoi(words[3]) };
	if (!strcmp(words[1], "serve"))
		return serve(ports);
	return count == 7 ? probe(ports, (char *const[2]){ words[4], words[5] }, atoi(words[6])) : 2;
}
