/**
 * `wardline-agent uninstall`: ends enforcement and removes what agents made on this host, by whatever backend. The other
 * end of an installation, so it looks for everything instead of asking records that may be damaged.
 */
import { lstatSync, readdirSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { createEbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { createNftablesEnforcer, DEFAULT_TABLE_NAME } from "../enforce/nftables/nftablesEnforcer.ts";
import { findNft } from "../enforce/nftables/nftCommand.ts";
import { ownerOfTable } from "../enforce/nftables/tableView.ts";
import { createSystemPfEnforcer } from "../enforce/pf/systemPf.ts";
import { probeEnforcement } from "../enforce/probe.ts";
import { EMPTY_INDEX } from "../generations/records.ts";
import { StateStore } from "../generations/stateStore.ts";
import { unmount } from "../linux/bpf/libbpf.ts";
import { isBpffs } from "../linux/bpffs.ts";
import { acquireFileLock } from "../linux/fileLock.ts";
import { readMounts } from "../linux/mounts.ts";
import { NftablesReader } from "../linux/netfilter/nftablesReader.ts";
import { StartError } from "../server/socket.ts";
import { readBpfObject } from "./bpfObject.ts";
import { openStateDirectory } from "./foundation.ts";
import type { AgentOptions } from "./options.ts";

export interface UninstallRequest {
  readonly options: AgentOptions;
  /** Records and audit log stay; what was enforced does not come back with the next agent. */
  readonly keepState: boolean;
}

/** Everything that an agent ever writes into its state directory: nothing else is touched there. */
const STATE_FILES = [
  ...["index.json", "counters.json", "audit", "audit.ndjson", "pf.json", "generations", "cluster"],
  ...["records", "anomaly", "mesh", "agent.lock"],
];
const UNIT_PATHS = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const UNIT_NAMES = ["wardline-agent.service", "wardline-boot.service"];

/**
 * Returns what was removed, one sentence each; empty = there was nothing. Throws `StartError` when an agent runs, a
 * change waits for confirmation, or the caller is not root.
 */
export async function uninstall({ options, keepState }: UninstallRequest): Promise<readonly string[]> {
  if (process.geteuid?.() !== 0) throw new StartError("uninstall needs root");
  const removed: string[] = [];
  await underLocks(options, async () => {
    await refusePending(options.stateDir);
    removed.push(...(await removeNftables(options)), ...(await removeEbpf(options)), ...(await removePf(options)));
    removed.push(...removeSocket(options.socketPath));
    if (keepState) await forgetEnforced(options.stateDir);
  });
  removed.push(...removeLocks(options.socketPath));
  if (!keepState) removed.push(...removeState(options.stateDir));
  return removed;
}

/** `wardline-agent uninstall` on the command line. */
export async function uninstallAgent(request: UninstallRequest): Promise<void> {
  const removed = await uninstall(request);
  for (const each of removed) console.log(`Removed ${each}`);
  if (removed.length === 0) console.log("There was nothing of Wardline to remove.");
  for (const unit of UNIT_PATHS.flatMap((directory) => UNIT_NAMES.map((name) => join(directory, name)))) {
    if (exists(unit)) console.log(`Left in place: ${unit} (it belongs to the package; disable or remove it there)`);
  }
}

/** pf is asked on every Mac: rules may be there when the record is not. */
async function removePf({ stateDir }: AgentOptions): Promise<readonly string[]> {
  if (process.platform !== "darwin") return [];
  await createSystemPfEnforcer({ stateDir, bootMs: () => 0 }).release();
  return ["the anchor, its call and the enable reference in pf"];
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** An agent that runs has its state directory and its socket; either of them stops the uninstall. */
async function underLocks({ stateDir, socketPath }: AgentOptions, run: () => Promise<void>): Promise<void> {
  const held = exists(stateDir) ? [openStateDirectory(stateDir)] : [];
  try {
    if (exists(`${socketPath}.lock`)) {
      const lock = acquireFileLock(`${socketPath}.lock`);
      if ("heldBy" in lock)
        throw new StartError(`an agent (process ${lock.heldBy}) serves ${socketPath}: stop it first`);
      held.push(lock);
    }
    await run();
  } finally {
    for (const lock of held) lock.release();
  }
}

async function refusePending(stateDir: string): Promise<void> {
  if (!exists(stateDir)) return;
  const read = await new StateStore(stateDir).readIndex();
  if (read.kind !== "read" || read.index.pending === null) return;
  throw new StartError(
    `generation ${read.index.pending.generation} waits for confirmation: start the agent, which settles it, and stop it again`,
  );
}

/** The table guards a whole host: an agent for one cgroup never made it, and must not take it from another one. */
async function removeNftables({ cgroupRoot }: AgentOptions): Promise<string[]> {
  const nft = process.platform === "linux" && cgroupRoot === null ? findNft() : null;
  if (nft === null) return [];
  const reader = new NftablesReader(DEFAULT_TABLE_NAME, null);
  const isOurs = ownerOfTable(reader) === "agent";
  reader.close();
  if (!isOurs) return [];
  await createNftablesEnforcer({ nft: [nft] }).release();
  return [`the nftables table "inet ${DEFAULT_TABLE_NAME}"`];
}

async function removeEbpf({ bpffsDir, cgroupRoot: root }: AgentOptions): Promise<string[]> {
  if (!exists(bpffsDir) || !isBpffs(bpffsDir)) return [];
  const removed: string[] = [];
  // The root of a BPF file system has entries of its own, which cannot be removed.
  const trees = readdirSync(bpffsDir).filter((name) => name.startsWith("layout-"));
  if (trees.length > 0) {
    await releaseTree(bpffsDir, root);
    // What the enforcer did not know: trees of other layouts, or all of it where eBPF cannot be used any more.
    for (const tree of trees) removePins(join(bpffsDir, tree));
    removed.push(`the kernel programs and tables pinned in ${bpffsDir}`);
  }
  if (readMounts().some(({ mountPoint, fileSystem }) => mountPoint === bpffsDir && fileSystem === "bpf")) {
    unmount(bpffsDir);
    removed.push(`the mount of ${bpffsDir}`);
  }
  removeEmpty(bpffsDir);
  return removed;
}

/** Adopting first lets the enforcer take away what is not pinned there, such as filters of interfaces. */
async function releaseTree(bpffsDir: string, root: string | null): Promise<void> {
  const objectBytes = readBpfObject();
  const { choice, cgroupRoot } = await probeEnforcement({ cgroupRoot: root, objectBytes, skipLoad: true });
  if (choice !== "ebpf" || objectBytes === null || cgroupRoot === null) return;
  const enforcer = createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes });
  await enforcer.open();
  await enforcer.release();
}

function removePins(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isDirectory()) {
    for (const name of readdirSync(path)) removePins(join(path, name));
    rmdirSync(path);
  } else unlinkSync(path);
}

function removeSocket(socketPath: string): string[] {
  if (!lstatSync(socketPath, { throwIfNoEntry: false })?.isSocket()) return [];
  unlinkSync(socketPath);
  return [`the socket ${socketPath}`];
}

function removeLocks(socketPath: string): string[] {
  rmSync(`${socketPath}.lock`, { force: true });
  return removeEmpty(dirname(socketPath)) ? [`the directory ${dirname(socketPath)}`] : [];
}

/** So that an agent installed later does not bring back what was ended here. */
async function forgetEnforced(stateDir: string): Promise<void> {
  if (!exists(stateDir)) return;
  const store = new StateStore(stateDir);
  const read = await store.readIndex();
  const nextGeneration = read.kind === "read" ? read.index.nextGeneration : 1;
  if (read.kind !== "fresh") await store.writeIndex({ ...EMPTY_INDEX, nextGeneration });
}

function removeState(stateDir: string): string[] {
  if (!exists(stateDir)) return [];
  const present = STATE_FILES.filter((name) => exists(join(stateDir, name)));
  for (const name of present) rmSync(join(stateDir, name), { recursive: true, force: true });
  const isGone = removeEmpty(stateDir);
  if (present.length === 0 && !isGone) return [];
  return [isGone ? `the records in ${stateDir}` : `the records in ${stateDir}; other files there stay`];
}

/** False when it is not there or holds something of others. */
function removeEmpty(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}
