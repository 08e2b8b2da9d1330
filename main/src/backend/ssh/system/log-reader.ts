/** What `ssh -v` says while it connects: the steps, and what a failure means. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  connectFailure,
  connectionLost,
  NegotiationFailure,
  nameNotFound,
  notSsh,
  type Place,
  placeText,
  strangersText,
  timedOut,
  unreachable,
} from "../built-in/failures.ts";
import type { ConnectOptions, ConnectStep } from "../ssh-session.ts";

const MOST_LINES = 300;
const LONGEST_LINE = 1000;

interface StepRule {
  readonly pattern: RegExp;
  readonly step: ConnectStep;
  /** Begins the step, or ends it with what was found. */
  readonly found: ((match: RegExpExecArray) => string) | null;
}

const STEPS: readonly StepRule[] = [
  {
    pattern: /^debug1: (?:Connecting to .* \[([^\]]+)\] port|Executing proxy command)/,
    step: "name",
    found: ([, address]) => address ?? "by the proxy",
  },
  { pattern: /^debug1: (?:Connecting to|Executing proxy command)/, step: "route", found: null },
  { pattern: /^debug1: (?:Connection established|Local version string)/, step: "route", found: () => "reached" },
  { pattern: /^debug1: Local version string/, step: "port", found: null },
  {
    pattern: /^debug1: Remote protocol version [\d.]+, remote software version (.*)/,
    step: "port",
    found: ([, version]) => strangersText(version ?? "", 100),
  },
  { pattern: /^debug1: (?:Remote protocol version)/, step: "host-key", found: null },
  { pattern: /^debug1: Server host (?:key|certificate): (\S+) (SHA256:\S+)/, step: "host-key", found: null },
  { pattern: /^debug1: (?:SSH2_MSG_NEWKEYS received|rekey in after)/, step: "host-key", found: () => "verified" },
  {
    pattern: /^debug1: SSH2_MSG_SERVICE_ACCEPT received|^debug1: Authentications that can continue/,
    step: "authentication",
    found: null,
  },
  {
    pattern: /^(?:debug1: )?Authenticated to .* using "([^"]+)"/,
    step: "authentication",
    found: ([, method]) => method ?? "",
  },
];

export class LogReader {
  readonly #place: Place;
  readonly #onStep: ConnectOptions["onStep"] | undefined;
  readonly #lines: string[] = [];
  readonly #seen = new Set<string>();
  #rest = "";
  hostKeyType = "";
  hostKeyFingerprint = "";

  constructor(place: Place, onStep: ConnectOptions["onStep"] | undefined) {
    this.#place = place;
    this.#onStep = onStep;
  }

  read(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString("utf8")).split(/\r?\n/);
    this.#rest = (lines.pop() ?? "").slice(0, LONGEST_LINE);
    for (const line of lines) this.#take(line.slice(0, LONGEST_LINE));
  }

  /** Lines that came after the given number of lines. */
  since(count: number): readonly string[] {
    return this.#lines.slice(Math.max(0, count));
  }

  get count(): number {
    return this.#lines.length;
  }

  get isHostKeyProblem(): boolean {
    return this.#has(
      /Host key verification failed|host key is known for .* and you have requested strict|REVOKED HOST KEY/i,
    );
  }

  /** What ended it; the machine's key is judged elsewhere. */
  failure(): Failure {
    const place = this.#place;
    const cause = new Error(
      this.#lines
        .filter((line) => !line.startsWith("debug"))
        .slice(-5)
        .join(" | ")
        .slice(0, 500),
    );
    if (this.#has(/Could not resolve hostname/)) {
      const isLater = this.#has(/Temporary failure in name resolution/);
      return nameNotFound(place.hostName, isLater ? "EAI_AGAIN" : "ENOTFOUND", cause);
    }
    if (this.#has(/Permission denied \(|Too many authentication failures|no more authentication methods/i))
      return this.#refused(cause);
    const [, what] = this.#find(/no matching ([a-z ]+) found/i) ?? [];
    if (what) return new NegotiationFailure(place, what, cause);
    if (this.#has(/Bad configuration option|Unsupported option|keyword .* extra arguments/i))
      return this.#badConfiguration(cause);
    const connect =
      this.#find(/connect to (?:host|address) .*: (.*)$/i)?.[1] ??
      this.#find(/^debug1: connect to .*: (.*)$/i)?.[1] ??
      "";
    if (/refused/i.test(connect)) return connectFailure(place, "ECONNREFUSED", cause);
    if (/no route|unreachable/i.test(connect)) return connectFailure(place, "EHOSTUNREACH", cause);
    if (/timed out/i.test(connect) || this.#has(/Connection timed out|Operation timed out/i))
      return timedOut(place, null, cause);
    if (this.#has(/banner line contains invalid characters|no SSH identification|banner exchange.*invalid format/i))
      return notSsh(place, "");
    if (this.#has(/kex_exchange_identification|Connection (?:reset|closed) by/i))
      return connectionLost(place, "before it let anybody in", cause);
    const last = this.#lines.filter((line) => !line.startsWith("debug")).at(-1) ?? "nothing";
    return unreachable(
      `The system's ssh could not connect to ${placeText(place)}: it said "${strangersText(last, 200)}".`,
      "Try the command in a terminal to learn more.",
      cause,
    );
  }

  #refused(cause: Error): Failure {
    const offered = this.#lines.flatMap((line) => /^debug1: Offering public key: (.*)$/.exec(line)?.[1] ?? []);
    const [, allowed = ""] = this.#find(/Permission denied \(([^)]*)\)/) ?? [];
    const tried =
      offered.length === 0
        ? "no key could be offered"
        : `tried: ${offered.map((key) => `key ${strangersText(key, 120)}`).join(", ")}`;
    return new Failure(
      {
        code: ErrorCode.SSH_AUTHENTICATION_FAILED,
        message: `${placeText(this.#place)} did not let anybody in: ${tried}${allowed === "" ? "" : `; it takes ${strangersText(allowed, 80)}`}.`,
        hint: "The system's ssh asks nothing here: keys with a passphrase have to be in an agent (ssh-add).",
      },
      { cause },
    );
  }

  #badConfiguration(cause: Error): Failure {
    const [line = ""] = this.#find(/.*(?:Bad configuration option|Unsupported option|extra arguments).*/i) ?? [];
    return new Failure(
      {
        code: ErrorCode.INVALID_ARGUMENT,
        message: `The system's ssh does not accept the configuration: ${strangersText(line.replace(/^\S+config line \d+: /, ""), 200)}.`,
        hint: "Check ~/.ssh/config; IgnoreUnknown keeps keywords of other versions.",
      },
      { cause },
    );
  }

  #take(line: string): void {
    this.#lines.push(line);
    // The beginning tells how it connected, the end why it ended.
    if (this.#lines.length > MOST_LINES) this.#lines.splice(MOST_LINES / 2, 1);
    const [, type, fingerprint] =
      /^debug1: Server host (?:key|certificate): (\S+) (SHA256:[A-Za-z0-9+/]+)/.exec(line) ?? [];
    if (type && fingerprint) [this.hostKeyType, this.hostKeyFingerprint] = [type, fingerprint];
    for (const { pattern, step, found } of STEPS) {
      const match = pattern.exec(line);
      const key = `${step}${found === null ? "?" : ""}`;
      if (!match || this.#seen.has(key) || this.#seen.has(step)) continue;
      this.#seen.add(key);
      const value = found?.(match) ?? null;
      if (step === "host-key" && value !== null) this.#onStep?.(step, `${this.hostKeyType} ${this.hostKeyFingerprint}`);
      else this.#onStep?.(step, value);
    }
  }

  #has(pattern: RegExp): boolean {
    return this.#find(pattern) !== null;
  }

  #find(pattern: RegExp): RegExpExecArray | null {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match) return match;
    }
    return null;
  }
}
