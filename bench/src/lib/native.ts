/** Builds the programs in bench/native, and runs them on either side of a lab. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { KernelLab } from "@wardline/helper/testing/kernelLab";

const NATIVE_DIR = fileURLToPath(new URL("../../native", import.meta.url));
const BPF_DIR = fileURLToPath(new URL("../../../bpf", import.meta.url));

/** Compiles `bench/native/NAME.c` into the directory and returns the program's path. */
export function buildNative(directory: string, name: string): string {
  const path = join(directory, name);
  execFileSync("clang", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", path, join(NATIVE_DIR, `${name}.c`)]);
  return path;
}

/** Compiles `bench/native/NAME.bpf.c` against the datapath's own headers and returns the object's path. */
export function buildBpf(directory: string, name: string): string {
  const path = join(directory, `${name}.bpf.o`);
  const machine = execFileSync("uname", ["-m"]).toString().trim();
  execFileSync("clang", [
    ...["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wno-unused-function"],
    ...[
      `-I${join(BPF_DIR, "include")}`,
      `-I${join(BPF_DIR, "src")}`,
      "-idirafter",
      `/usr/include/${machine}-linux-gnu`,
    ],
    ...["-c", join(NATIVE_DIR, `${name}.bpf.c`), "-o", path],
  ]);
  return path;
}

export interface Place {
  readonly side: "host" | "peer";
  /** Processor to run on; anywhere when left out. */
  readonly processor?: number;
  /** Inside the guarded cgroup; the host side is, the peer side is not, unless told. */
  readonly guarded?: boolean;
  /** Real-time priority, so that only the kernel can hold the process up. */
  readonly realTime?: boolean;
}

/** Shell line that moves into the place and becomes the program. */
function entering(lab: KernelLab, place: Place, command: readonly string[]): readonly string[] {
  const { side, processor, guarded = side === "host", realTime = false } = place;
  const namespace = side === "host" ? lab.hostNamespace : lab.peerNamespace;
  const words = [
    ...(processor === undefined ? [] : ["taskset", "-c", `${processor}`]),
    ...(realTime ? ["chrt", "-f", "50"] : []),
    ...["nsenter", `--net=${namespace}`],
    ...command,
  ];
  const script = `${guarded ? `echo $$ > "${lab.cgroupRoot}/cgroup.procs"; ` : ""}exec "$@"`;
  return ["-c", script, "sh", ...words];
}

/** Runs a program to its end and resolves to what it printed. This process goes on: an enforcer in it drains its rings. */
export async function runAt(lab: KernelLab, place: Place, command: readonly string[]): Promise<string> {
  return (await startAt(lab, place, command, false)).finished();
}

export interface Running {
  readonly child: ChildProcess;
  /** Everything printed so far. */
  output(): string;
  /** Resolves to the whole output when the program ended by itself. Rejects when it failed. */
  finished(): Promise<string>;
  /** Asks it to end and waits. Returns the whole output. */
  stop(signal?: NodeJS.Signals): Promise<string>;
}

/** Starts a program. With `untilFirstLine` the promise resolves when it has printed one line ("ready"). */
export async function startAt(
  lab: KernelLab,
  place: Place,
  command: readonly string[],
  untilFirstLine = true,
): Promise<Running> {
  const child = spawn("sh", entering(lab, place, command), { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  const exited = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const lines = createInterface({ input: child.stdout });
  const first = new Promise<void>((resolve) => lines.once("line", () => resolve()));
  lines.on("line", (line) => {
    text += `${line}\n`;
  });
  if (untilFirstLine) {
    const early = await Promise.race([
      first.then(() => null),
      exited.then((code) => `${command[0]} ended with ${code}`),
    ]);
    if (early !== null) throw new Error(early);
  }
  return {
    child,
    output: () => text,
    async finished() {
      const code = await exited;
      if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}`);
      return text;
    },
    async stop(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
      return text;
    },
  };
}

/** Why a program from the operating system cannot be used, or `null`. */
export function programProblem(name: string): string | null {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
    return null;
  } catch {
    return `needs the program ${name}`;
  }
}

/** What the package manager says of bpfilter, the peer that uses the same hooks. */
export function bpfilterProblem(): string {
  const asked = ["apt-cache policy bpfilter", "apt-cache search --names-only bpfilter"];
  const said = asked.map((command) => {
    const { stdout, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    const answer = `${stdout}${stderr}`.trim().split("\n").slice(0, 3).join(" / ");
    return `\`${command}\` ${answer === "" ? "prints nothing" : `says: ${answer}`}`;
  });
  return `no such package here: ${said.join("; ")}`;
}
