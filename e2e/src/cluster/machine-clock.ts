/**
 * The clock of one agent, moved while it runs. Processes of one machine share a clock, so the agent's own view of it is
 * shifted: a library in front of libc adds what a file says.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { AGENT_UNIT } from "../fleet/host-files.ts";

const LIBRARY_PATH = "/usr/lib/wardline-clock.so";
const OFFSET_PATH = "/etc/wardline-clock-offset";

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *seconds;

__attribute__((constructor)) static void find_offset(void) {
  int fd = open("${OFFSET_PATH}", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(0, sizeof *seconds, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) seconds = page;
}

int clock_gettime(clockid_t id, struct timespec *out) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, out);
  if (result == 0 && seconds && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += *seconds;
  return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
  int result = real(out, zone);
  if (result == 0 && seconds && out) out->tv_sec += *seconds;
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
`;

/** Puts the library in place; it counts from the next start of the agent on. */
export function installClock(host: FleetHost, directory: string): void {
  const source = join(directory, "clock.c");
  const library = join(directory, "clock.so");
  writeFileSync(source, SOURCE);
  execFileSync("clang", ["-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], { stdio: "inherit" });
  execFileSync("cp", [library, host.path(LIBRARY_PATH)]);
  writeFileSync(host.path(OFFSET_PATH), Buffer.alloc(8));
  const dropIns = host.path(`/etc/systemd/system/${AGENT_UNIT}.d`);
  mkdirSync(dropIns, { recursive: true });
  writeFileSync(join(dropIns, "clock.conf"), `[Service]\nEnvironment="LD_PRELOAD=${LIBRARY_PATH}"\n`);
}

/** From this moment on the agent's clock differs by so much from the true one. */
export function moveClock(host: FleetHost, seconds: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(seconds));
  // In place: the page that the agent has mapped is the file's own.
  const file = openSync(host.path(OFFSET_PATH), "r+");
  writeSync(file, bytes, 0, bytes.length, 0);
  closeSync(file);
}
