// Programs, libraries and headers that come from the operating system. They are looked for as files, never through a
// package database, so that anything installed another way counts.
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { withoutStartingServices } from "./quiet-services.mjs";
import { runLogged } from "./run.mjs";

const EXTRA_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
export const CHROMIUM_PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Each mode wants what the modes before it want. */
const MODES = ["start", "demo", "test", "bench"];

/**
 * `package`: its Debian name. `forMode`: the first of the modes that wants it. `without` completes the sentence
 * "Without it: …". `services`: what Debian would start at every boot although only the program is wanted.
 */
const WANTED = [
  {
    package: "libatomic1",
    what: "the library libatomic.so.1",
    forMode: "start",
    found: () => hasLibrary("libatomic.so.1"),
    without: "the project's Node 26 does not start.",
  },
  {
    package: "libstdc++6",
    what: "the library libstdc++.so.6",
    forMode: "start",
    found: () => hasLibrary("libstdc++.so.6"),
    without: "the project's Node 26 does not start.",
  },
  {
    package: "make",
    what: "the program make",
    forMode: "start",
    found: () => findProgram(["make"]),
    without: "the eBPF programs are not built; the agent only observes.",
  },
  {
    package: "clang",
    what: "the program clang",
    forMode: "start",
    found: () => findProgram(["clang"]),
    without: "the eBPF programs are not built; the agent only observes.",
  },
  {
    package: "linux-libc-dev",
    what: "the header linux/bpf.h",
    forMode: "start",
    found: () => existsSync("/usr/include/linux/bpf.h"),
    without: "the eBPF programs are not built; the agent only observes.",
  },
  {
    package: "libbpf1",
    what: "the library libbpf.so.1",
    forMode: "start",
    found: () => hasLibrary("libbpf.so.1"),
    without: "the agent cannot load eBPF programs; it only observes.",
  },
  {
    package: "chromium",
    what: "a Chromium or Chrome browser",
    forMode: "start",
    found: () => findProgram(CHROMIUM_PROGRAMS),
    without: "no console window opens by itself; the address is printed for the browser of your choice.",
  },
  {
    package: "openssh-server",
    what: "the program sshd",
    forMode: "demo",
    services: ["ssh.service"],
    found: () => existsSync("/usr/sbin/sshd"),
    without: "the demo does not start, and tests with real hosts over SSH are skipped.",
  },
  {
    package: "openssh-client",
    what: "the program ssh",
    forMode: "demo",
    found: () => findProgram(["ssh"]),
    without: "the demo does not start, and tests with real hosts over SSH are skipped.",
  },
  {
    package: "sudo",
    what: "the program sudo",
    forMode: "demo",
    found: () => findProgram(["sudo"]),
    without: "the demo does not start, and tests with real hosts over SSH are skipped.",
  },
  {
    package: "etcd-server",
    what: "the program etcd",
    forMode: "demo",
    services: ["etcd.service"],
    found: () => findProgram(["etcd"]),
    without: "the demo's hosts form no cluster, and tests with a cluster of several hosts are skipped.",
  },
  {
    package: "etcd-client",
    what: "the program etcdctl",
    forMode: "test",
    found: () => findProgram(["etcdctl"]),
    without: "tests that look at etcd from outside are skipped.",
  },
  {
    package: "prometheus",
    what: "the programs prometheus and promtool",
    forMode: "test",
    services: ["prometheus.service"],
    found: () => findProgram(["prometheus"]) && findProgram(["promtool"]),
    without: "metrics are not scraped by a real Prometheus, and alert rules are not checked.",
  },
  {
    package: "postgresql",
    what: "the programs of PostgreSQL",
    forMode: "test",
    services: ["postgresql.service"],
    found: () => existsSync("/usr/lib/postgresql") && readdirSync("/usr/lib/postgresql").length > 0,
    without: "the history of flows is not tested on PostgreSQL.",
  },
  {
    package: "yggdrasil",
    what: "the program yggdrasil",
    forMode: "demo",
    services: ["yggdrasil.service"],
    found: () => findProgram(["yggdrasil"]),
    without: "the demo's hosts form no mesh, and tests with real Yggdrasil nodes are skipped.",
  },
  {
    package: "prometheus-alertmanager",
    what: "the program prometheus-alertmanager",
    forMode: "test",
    services: ["prometheus-alertmanager.service"],
    found: () => findProgram(["prometheus-alertmanager"]),
    without: "alerts are not sent to a real Alertmanager.",
  },
  {
    package: "bpftool",
    what: "the program bpftool",
    forMode: "test",
    found: () => findProgram(["bpftool"]),
    without: "tests that look at the kernel's programs are skipped.",
  },
  {
    package: "nftables",
    what: "the program nft",
    forMode: "test",
    found: () => findProgram(["nft"]),
    without: "comparisons with nftables are skipped.",
  },
  {
    package: "iproute2",
    what: "the program ip",
    forMode: "demo",
    found: () => findProgram(["ip"]),
    without: "the demo does not start, and tests with network namespaces are skipped.",
  },
  {
    package: "util-linux",
    what: "the programs nsenter and unshare",
    forMode: "demo",
    found: () => findProgram(["nsenter"]) && findProgram(["unshare"]),
    without: "the demo does not start, and tests with network namespaces are skipped.",
  },
  {
    package: "iperf3",
    what: "the program iperf3",
    forMode: "bench",
    found: () => findProgram(["iperf3"]),
    without: "throughput is not measured.",
  },
  {
    package: "conntrack",
    what: "the program conntrack",
    forMode: "bench",
    found: () => findProgram(["conntrack"]),
    without: "the kernel's connection tracking is missing as a peer of two measurements.",
  },
  {
    package: "iptables",
    what: "the program iptables-legacy",
    forMode: "bench",
    found: () => findProgram(["iptables-legacy"]),
    without: "a verdict in user space is not measured where nftables has no queue.",
  },
];

export async function installSystemPackages(root, mode, report) {
  if (process.platform !== "linux") {
    reportOtherSystem(report, mode);
    return;
  }
  let missing = missingPackages(mode);
  if (missing.length === 0) return;
  const names = missing.map((entry) => entry.package);
  if (isDebian() && process.getuid() === 0) {
    const startedAt = performance.now();
    report.begin(`system packages: apt-get install ${names.join(" ")}`);
    const wanted = missing;
    const failure = await withoutStartingServices(() => aptInstall(root, names));
    missing = missingPackages(mode);
    await disableServices(
      root,
      wanted.filter((entry) => !missing.includes(entry)),
    );
    const installed = names.filter((name) => !missing.some((entry) => entry.package === name));
    if (installed.length > 0) report.step("done", `system packages installed: ${installed.join(" ")}`, startedAt);
    if (missing.length > 0) {
      report.step("failed", `system packages: ${failure?.reason ?? "installed, but still not found"}`, startedAt);
      report.detail(failure?.tail ?? []);
    }
  }
  const command = (entry) =>
    isDebian()
      ? `${process.getuid() === 0 ? "" : "sudo "}apt-get update && ${process.getuid() === 0 ? "" : "sudo "}apt-get install ${entry.package}`
      : `install the package that has ${entry.what} (in Debian: ${entry.package})`;
  for (const group of groupByConsequence(missing)) {
    report.step("missing", group.what);
    report.problem({ what: group.what, consequence: group.without, command: command(group) });
  }
}

function missingPackages(mode) {
  return WANTED.filter((entry) => MODES.indexOf(entry.forMode) <= MODES.indexOf(mode) && !entry.found());
}

/** One problem for all that have the same consequence: a list of twelve paragraphs is not read. */
function groupByConsequence(missing) {
  const groups = new Map();
  for (const entry of missing) {
    const group = groups.get(entry.without);
    if (group) {
      group.what += `, ${entry.what}`;
      group.package += ` ${entry.package}`;
    } else groups.set(entry.without, { ...entry });
  }
  return [...groups.values()];
}

function reportOtherSystem(report, mode) {
  if (findProgram(CHROMIUM_PROGRAMS) || process.platform === "darwin") return;
  report.problem({
    what: `system packages for ${process.platform} (${mode})`,
    consequence: "no console window opens by itself; the address is printed for the browser of your choice.",
    command: null,
  });
}

/** Returns how the last failing command failed, or null. One package that cannot be had does not stop the others. */
async function aptInstall(root, names) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  const apt = (args, log) =>
    runLogged({
      command: "apt-get",
      args: ["-q", "-y", "-o", "DPkg::Lock::Timeout=120", ...args],
      cwd: root,
      env,
      logPath: join(root, ".cache", "setup", log),
      label: `apt-get ${args[0]}`,
    });
  const update = await apt(["update"], "apt-update.log");
  const install = (list) => apt(["install", "--no-install-recommends", ...list], `apt-install-${list[0]}.log`);
  const all = await install(names);
  if (all.ok) return null;
  if (!update.ok) return update;
  let failure = null;
  for (const name of names) {
    const single = await install([name]);
    if (!single.ok) failure = single;
  }
  return failure;
}

/** What was installed just now stays off at the next boot as well. Without systemd there is nothing to turn off. */
async function disableServices(root, installed) {
  const services = installed.flatMap((entry) => entry.services ?? []);
  if (services.length === 0 || findProgram(["systemctl"]) === null) return;
  const logPath = join(root, ".cache", "setup", "services.log");
  await runLogged({ command: "systemctl", args: ["disable", ...services], cwd: root, logPath, label: "services" });
}

function isDebian() {
  try {
    return (
      /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync("/etc/os-release", "utf8")) && !!findProgram(["apt-get"])
    );
  } catch {
    return false;
  }
}

/** Full path of the first program found, or null. sbin counts: an ordinary user's PATH leaves it out. */
export function findProgram(names) {
  const dirs = [...(process.env.PATH ?? "").split(delimiter).filter((dir) => dir !== ""), ...EXTRA_PATH];
  for (const name of names) {
    for (const dir of dirs) {
      try {
        accessSync(join(dir, name), constants.X_OK);
        return join(dir, name);
      } catch {
        // Not in this folder.
      }
    }
  }
  return null;
}

function hasLibrary(name) {
  const dirs = ["/usr/local/lib", "/usr/lib64", "/lib64"];
  for (const base of ["/usr/lib", "/lib"]) {
    dirs.push(base);
    if (!existsSync(base)) continue;
    for (const entry of readdirSync(base)) if (entry.includes("-linux-gnu")) dirs.push(join(base, entry));
  }
  return dirs.some((dir) => existsSync(join(dir, name)));
}
