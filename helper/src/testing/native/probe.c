/*
 * Runs a pinned cgroup_skb program on one first packet after the other, each from an address of its own, as fast as it
 * can or at a steady pace, until it has run as often as asked or its standard input ends.
 *
 *   probe PIN IFINDEX COUNT PACE_US    COUNT 0 = until the input ends; PACE_US 0 = as fast as it can; with a pace it runs
 *                                      before everything else on its CPU, so that a delay is one that nothing can preempt
 *
 * Prints `ready`, and at the end: packets run, packets dropped, longest time between two answers in ns.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static int open_pin(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uint64_t)(uintptr_t)path;
	return syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
}

/* Ethernet, IPv4 from 10.x.y.z to 198.51.100.254, TCP SYN to port 80. */
static uint8_t packet[54] = {
	[12] = 0x08, [14] = 0x45, [17] = 40, [22] = 64, [23] = 6, [26] = 10, [30] = 198, 51, 100, 254,
	[34] = 0x9c, 0x40, [37] = 80, [46] = 0x50, 0x02,
};

static int run(int program, uint32_t ifindex, uint32_t serial)
{
	struct __sk_buff context = { .ifindex = ifindex };
	union bpf_attr attr;

	packet[27] = serial >> 16;
	packet[28] = serial >> 8;
	packet[29] = serial;
	/* Another port each time around the addresses, so that no packet belongs to a known flow. */
	packet[34] = 0x80 | (serial >> 24);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = program;
	attr.test.data_in = (uint64_t)(uintptr_t)packet;
	attr.test.data_size_in = sizeof(packet);
	attr.test.ctx_in = (uint64_t)(uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	attr.test.repeat = 1;
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) != 0)
		return -1;
	return attr.test.retval;
}

static void run_before_all_others(void)
{
	struct sched_param priority = { .sched_priority = 50 };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0 || sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
		perror("priority");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	uint64_t sent = 0, dropped = 0, longest = 0, before, count;
	struct timespec pace = { 0 };
	int program, verdict;

	if (argc != 5)
		return 2;
	program = open_pin(argv[1]);
	if (program < 0) {
		perror("pin");
		return 2;
	}
	count = strtoull(argv[3], NULL, 10);
	pace.tv_nsec = atol(argv[4]) * 1000;
	if (pace.tv_nsec)
		run_before_all_others();
	puts("ready");
	fflush(stdout);
	before = now_ns();
	while (!count || sent < count) {
		uint64_t now;

		verdict = run(program, atoi(argv[2]), sent);
		if (verdict < 0) {
			perror("run");
			return 2;
		}
		sent++;
		dropped += verdict == 0;
		now = now_ns();
		if (now - before > longest)
			longest = now - before;
		before = now;
		if (pace.tv_nsec)
			nanosleep(&pace, NULL);
		if (sent % 256 == 0 && poll(&input, 1, 0) != 0)
			break;
	}
	printf("%llu %llu %llu\n", (unsigned long long)sent, (unsigned long long)dropped, (unsigned long long)longest);
	return 0;
}
