/**
 * Whether something in this network namespace may send an outgoing connection elsewhere than its program asked for. Then
 * what a program connects to and what the packet hooks see differ.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";

const NFT_PATHS = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];
const TIMEOUT_MS = 5_000;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export type RunNft = (args: readonly string[]) => Promise<string>;

/** Runs the first `nft` of the system; never a shell. Rejects when there is none or it fails. */
const runSystemNft: RunNft = async (args) => {
  let last: unknown = new Error("nft is not installed");
  for (const path of NFT_PATHS) {
    try {
      return await run(path, args);
    } catch (error) {
      last = error;
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
  throw last;
};

function run(path: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, env: { LC_ALL: "C" } };
    execFile(path, [...args], options, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

interface ChainName {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
}

/** Chains of type nat at the output hook, from `nft list chains`. */
export function parseOutputNatChains(text: string): readonly ChainName[] {
  const found: ChainName[] = [];
  let table = { family: "", name: "" };
  let chain = "";
  for (const line of text.split("\n")) {
    const tableLine = /^table (\S+) (\S+) \{/.exec(line);
    if (tableLine) table = { family: tableLine[1] ?? "", name: tableLine[2] ?? "" };
    const chainLine = /^\s+chain (\S+) \{/.exec(line);
    if (chainLine) chain = chainLine[1] ?? "";
    if (/^\s+type nat hook output /.test(line)) found.push({ family: table.family, table: table.name, chain });
  }
  return found;
}

/** Rules that only concern the host's own addresses (published ports of Docker) translate nothing that leaves it. */
export function hasTranslatingRule(chainText: string): boolean {
  return chainText
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && line !== "}" && !/^(?:table|chain|type|policy|comment) /.test(line))
    .some((rule) => !rule.includes("fib daddr type local"));
}

function hasLegacyNat(): boolean {
  return ["/proc/self/net/ip_tables_names", "/proc/self/net/ip6_tables_names"].some((path) => {
    try {
      return readFileSync(path, "utf8").split("\n").includes("nat");
    } catch {
      return false;
    }
  });
}

/** True also when it cannot be found out: who relies on the answer must be sure. */
export async function mayTranslateOutgoing(runNft: RunNft = runSystemNft): Promise<boolean> {
  if (hasLegacyNat()) return true;
  try {
    const chains = parseOutputNatChains(await runNft(["list", "chains"]));
    for (const { family, table, chain } of chains)
      if (hasTranslatingRule(await runNft(["list", "chain", family, table, chain]))) return true;
    return false;
  } catch {
    return true;
  }
}
