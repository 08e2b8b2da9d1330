/**
 * pfctl as macOS has it, over {@link FakePf}: its options, what it says on which stream, and its exit codes, from its
 * manual and its published behaviour. It has never been compared with a Mac; docs/backends-pf.md says what that means.
 */
import type { PfCommands, PfctlResult } from "../enforce/pf/commands.ts";
import type { PfConfFile } from "../enforce/pf/pfConfFile.ts";
import { decodeRecord, encodeRecord, type PfRecord, type PfStore } from "../enforce/pf/record.ts";
import { APPLE_PF_CONF, endsOf, FakePf, type FakeState, type MainRules } from "./fakePf.ts";

const OPTIONS_WITH_VALUE = "aDfFikKopstTxXw";
const SHOW = ["nat", "queue", "rules", "Anchors", "Sources", "states", "info", "Interfaces", "labels", "timeouts"];
const SHOW_MORE = ["memory", "Tables", "osfp", "References", "Running", "dummynet", "all"];
const PROTOCOL_NAMES = new Map([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [47, "gre"],
  [58, "ipv6-icmp"],
]);
const USE_OF_F = `pfctl: Use of -f option, could result in flushing of rules
present in the main ruleset added by the system at startup.
See /etc/pf.conf for further details.

`;
const NO_ALTQ = "No ALTQ support in kernel\nALTQ related functions disabled\n";

interface CommandLine {
  readonly flags: ReadonlySet<string>;
  readonly verbosity: number;
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** Ends the command with exit code 1. */
class PfctlError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

export class FakePfctl implements PfCommands {
  readonly pf: FakePf;
  readonly calls: (readonly string[])[] = [];
  isInstalled = true;
  isRoot = true;
  /** Called before each command; may throw to play the death of the agent, or answer in pfctl's place. */
  intercept: (commandLine: readonly string[], input: string) => PfctlResult | null = () => null;
  #stdout = "";
  #stderr = "";

  constructor(pf = new FakePf()) {
    this.pf = pf;
  }

  run(commandLine: readonly string[], input = ""): PfctlResult {
    this.calls.push(commandLine);
    const answer = this.intercept(commandLine, input);
    if (answer) return answer;
    if (!this.isInstalled) return { exitCode: null, stdout: "", stderr: "", problem: "/sbin/pfctl does not exist" };
    this.#stdout = "";
    this.#stderr = "";
    let exitCode = 0;
    try {
      this.#execute(readCommandLine(commandLine), input);
    } catch (error) {
      if (!(error instanceof PfctlError)) throw error;
      this.#stderr += `pfctl: ${error.message}\n`;
      exitCode = error.exitCode;
    }
    return { exitCode, stdout: this.#stdout, stderr: this.#stderr, problem: null };
  }

  #execute(line: CommandLine, input: string): void {
    const { flags, values } = line;
    const value = (option: string): string | undefined => values.get(option)?.[0];
    const anchor = value("a") ?? "";
    if (values.has("f")) this.#stderr += USE_OF_F;
    const isOnlyParsed = flags.has("n");
    if (!isOnlyParsed && !this.isRoot) throw new PfctlError("/dev/pf: Permission denied");
    if (!isOnlyParsed) {
      this.#stderr += NO_ALTQ;
      if (flags.has("d")) this.#disable();
      if (values.has("X")) this.#releaseToken(value("X") ?? "");
      if (values.has("s")) this.#show(value("s") ?? "", anchor, line.verbosity);
      if (values.has("F")) this.#flush(value("F") ?? "", anchor);
      if (values.has("k")) this.#kill(values.get("k") ?? []);
      if (values.has("T")) this.#table(value("T") ?? "", anchor, value("t") ?? "", line.operands);
    }
    if (values.has("f")) this.#load(anchor, input, isOnlyParsed, flags.has("R"));
    if (!isOnlyParsed && flags.has("E")) this.#stderr += `pf enabled\nToken : ${this.pf.acquireToken("pfctl")}\n`;
  }

  #disable(): void {
    if (!this.pf.enabled) throw new PfctlError("pf not enabled");
    this.pf.disable();
    this.#stderr += "pf disabled\n";
  }

  #releaseToken(token: string): void {
    const { tokens, enabled } = this.pf;
    if (!/^\d+$/.test(token)) throw new PfctlError(`Invalid token value '${token}'`);
    if (!enabled) throw new PfctlError("pf not enabled");
    if (!tokens.delete(token)) throw new PfctlError("Invalid argument");
    if (tokens.size === 0) this.pf.enabled = false;
    this.#stderr +=
      tokens.size === 0
        ? "pf disabled\n"
        : `disable request successful. ${tokens.size} more pf enable reference(s) remaining, pf still enabled.\n`;
  }

  #show(modifier: string, anchor: string, verbosity: number): void {
    const what = [...SHOW, ...SHOW_MORE].find((name) => name.startsWith(modifier));
    if (what === undefined) throw new PfctlError(`Unknown show modifier '${modifier}'`);
    const loaded = this.pf.anchors.get(anchor);
    const isMissing = anchor !== "" && loaded === undefined;
    if (what === "rules" || what === "labels" || what === "nat") {
      if (isMissing) this.#stderr += "pfctl: DIOCGETRULES: Invalid argument\n";
      else if (what === "labels") this.#showLabels(anchor);
      else this.#showRules(what, anchor, verbosity);
    } else if (what === "Tables" && isMissing) this.#stderr += "pfctl: Anchor or Ruleset does not exist.\n";
    else if (what === "Tables") this.#print([...(loaded?.parsed.tables.keys() ?? [])]);
    else if (what === "Anchors")
      this.#print(anchor === "" ? ["com.apple", ...this.pf.anchors.keys()].map(indented) : []);
    else if (what === "states") this.#print(this.pf.states.flatMap((state) => listState(state, verbosity)));
    else if (what === "info") {
      const status = this.pf.enabled ? "Enabled" : "Disabled";
      this.#print([`Status: ${status} for 0 days 00:10:00           Debug: Urgent`, "", "State Table"]);
    } else if (what === "References") this.#showReferences();
    else throw new Error(`the double does not show ${what}`);
  }

  #showRules(what: "rules" | "nat", anchor: string, verbosity: number): void {
    const { main } = this.pf;
    const loaded = this.pf.anchors.get(anchor);
    if (!loaded || what === "nat") {
      if (!loaded) this.#print(what === "nat" ? main.translation : [...main.scrub, ...main.filter]);
      return;
    }
    if (loaded.parsed.rules.length > 0) this.#print(["scrub in all fragment reassemble"]);
    const counters = this.pf.counters(loaded);
    for (const [position, { text }] of loaded.lines.entries()) {
      this.#print([text]);
      const [, packets = 0n, bytes = 0n] = counters[position] ?? [];
      if (verbosity > 0)
        this.#print([`  [ Evaluations: 0         Packets: ${packets}  Bytes: ${bytes}  States: 0     ]`]);
    }
  }

  /** Label, evaluations, packets, bytes, then packets and bytes in and out. */
  #showLabels(anchor: string): void {
    const loaded = this.pf.anchors.get(anchor);
    if (!loaded) return;
    this.#print(
      this.pf
        .counters(loaded)
        .map(([{ label }, packets, bytes]) => `${label} 0 ${packets} ${bytes} ${packets} ${bytes} 0 0`),
    );
  }

  #showReferences(): void {
    const { tokens } = this.pf;
    if (tokens.size === 0) {
      this.#print(["No pf starter references held"]);
      return;
    }
    this.#print(["TOKENS:", "PID      Process Name                 TOKEN                    TIMESTAMP"]);
    this.#print(
      [...tokens].map(
        ([token, holder]) => `${"4711".padEnd(8)} ${holder.padEnd(28)} ${token.padEnd(24)} 0 days 00:00:12`,
      ),
    );
  }

  #flush(modifier: string, anchor: string): void {
    if (modifier === "all" && anchor !== "") {
      this.pf.flush(anchor);
      this.#stderr += "rules cleared\nnat cleared\ndummynet cleared\n1 tables deleted.\n";
    } else if (modifier === "states" && anchor === "") this.pf.states = [];
    else throw new Error(`the double does not flush ${modifier} of "${anchor}"`);
  }

  #kill(hosts: readonly string[]): void {
    if (hosts.length > 2) throw new PfctlError("can only specify -k twice");
    const [source = "", destination = null] = hosts;
    const killed = this.pf.killStates(source, destination);
    this.#stderr += `killed ${killed} states from 1 sources and ${destination === null ? 0 : 1} destinations\n`;
  }

  #table(command: string, anchor: string, name: string, addresses: readonly string[]): void {
    const loaded = this.pf.anchors.get(anchor);
    const table = loaded?.parsed.tables.get(name);
    if (!loaded || !table) throw new PfctlError("Table does not exist.", 255);
    if (command === "replace") {
      const former = new RegExp(`^table <${name}> persist.*$`, "m");
      this.pf.load(anchor, loaded.text.replace(former, `table <${name}> persist { ${addresses.join(", ")} }`));
      return;
    }
    if (command !== "show") throw new Error(`the double does not ${command} a table`);
    const line = new RegExp(`^table <${name}> persist \\{ (.*) \\}$`, "m").exec(loaded.text)?.[1];
    const entries = line === undefined ? [] : line.split(", ");
    this.#print(entries.map((entry) => `${entry.startsWith("!") ? "  " : "   "}${entry.replace(/\/(32|128)$/, "")}`));
  }

  #load(anchor: string, text: string, isOnlyParsed: boolean, isOnlyFilter: boolean): void {
    if (anchor.startsWith("_"))
      throw new PfctlError("anchor names beginning with '_' cannot be modified from the command line");
    try {
      if (anchor !== "") {
        const scratch = new FakePf();
        scratch.load(anchor, text);
        if (!isOnlyParsed) this.pf.load(anchor, text);
      } else {
        const main = readMain(text);
        const { translation } = this.pf.main;
        if (!isOnlyParsed) this.pf.main = isOnlyFilter ? { ...main, translation } : main;
      }
    } catch (error) {
      this.#stderr += `stdin:1: syntax error\n`;
      throw new PfctlError(`Syntax error in config file: pf rules not loaded (${String(error)})`);
    }
  }

  #print(lines: readonly string[]): void {
    for (const line of lines) this.#stdout += `${line}\n`;
  }
}

function indented(line: string): string {
  return `  ${line}`;
}

function readCommandLine(words: readonly string[]): CommandLine {
  const flags = new Set<string>();
  const values = new Map<string, string[]>();
  let verbosity = 0;
  let position = 0;
  for (; words[position]?.startsWith("-"); position++) {
    const option = words[position]?.[1] ?? "";
    if (!OPTIONS_WITH_VALUE.includes(option)) {
      if (option === "v") verbosity++;
      else flags.add(option);
      continue;
    }
    const joined = words[position]?.slice(2) ?? "";
    const given = joined === "" ? (words[++position] ?? "") : joined;
    values.set(option, [...(values.get(option) ?? []), given]);
  }
  return { flags, values, verbosity, operands: words.slice(position) };
}

/** Statements of the main rules, in the order that pf requires, as it lists them afterwards. */
function readMain(text: string): MainRules {
  const rules: { scrub: string[]; translation: string[]; filter: string[] } = {
    scrub: [],
    translation: [],
    filter: [],
  };
  const order = ["scrub", "translation", "filter"] as const;
  let stage = 0;
  for (const line of text.split("\n").map((one) => one.replace(/#.*$/, "").trim())) {
    if (line === "" || /^(load|set|dummynet-anchor|dummynet) /.test(line)) continue;
    const kind = /^scrub/.test(line)
      ? 0
      : /^(nat|rdr|binat)/.test(line)
        ? 1
        : /^(anchor|pass|block) /.test(line)
          ? 2
          : -1;
    if (kind < stage) throw new Error(`out of order or unknown: ${line}`);
    stage = kind;
    const all = /^(?:[a-z]+-)?anchor "[^"]+"$/.test(line) ? `${line} all` : line;
    const listed = /^scrub-anchor "[^"]+" all$/.test(all) ? `${all} fragment reassemble` : all;
    rules[order[stage] ?? "filter"].push(listed);
  }
  return rules;
}

function listState(state: FakeState, verbosity: number): readonly string[] {
  const { direction, local, remote, protocol, port, openerPort, interfaceName = "en0" } = state;
  const name = PROTOCOL_NAMES.get(protocol) ?? String(protocol);
  const withPort = (address: string, number: number): string => {
    if (protocol !== 6 && protocol !== 17) return address;
    return address.includes(":") ? `${address}[${number}]` : `${address}:${number}`;
  };
  const isIngress = direction === "ingress";
  const own = withPort(local, isIngress ? port : openerPort);
  const other = withPort(remote, isIngress ? openerPort : port);
  const { opener } = endsOf(state);
  const level = protocol === 6 ? "ESTABLISHED:ESTABLISHED" : protocol === 17 ? "MULTIPLE:MULTIPLE" : "0:0";
  const listed = `${interfaceName === "lo0" ? "lo0" : "ALL"} ${name} ${own} ${isIngress ? "<-" : "->"} ${other}       ${level}`;
  if (verbosity === 0) return [listed];
  return [listed, `   age 00:00:01, expires in 23:59:59, 1:1 pkts, 100:100 bytes, rule 0 (${opener})`];
}

/** /etc/pf.conf in memory. */
export class FakePfConf implements PfConfFile {
  text: string | null = APPLE_PF_CONF;
  failure: Error | null = null;

  read(): string | null {
    return this.text;
  }

  replace(text: string): void {
    if (this.failure) throw this.failure;
    this.text = text;
  }
}

/** The record on a disk that can be full or damaged. */
export class FakePfStore implements PfStore {
  text: string | null = null;
  failure: Error | null = null;
  /** Called before each write; may throw to play the death of the agent. */
  beforeWrite: () => void = () => {};

  read(): PfRecord | null {
    return this.text === null ? null : decodeRecord(this.text);
  }

  write(record: PfRecord): void {
    this.beforeWrite();
    if (this.failure) throw this.failure;
    this.text = encodeRecord(record);
  }

  clear(): void {
    this.text = null;
  }
}
