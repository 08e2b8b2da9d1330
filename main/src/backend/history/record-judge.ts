/**
 * What a host says of its traffic is a stranger's: records that cannot be true are refused and counted, texts are cut and
 * made harmless. Messages are changed.
 */
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { FlowHook } from "@wardline/api/wardline/v1/flow";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { type Decision, Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { formatAddress, parseAddress } from "@wardline/domain/policy";
import { hasInvisible, replaceInvisible } from "@wardline/domain/text";

/** Nothing is older: records did not exist. */
const EARLIEST_MS = Date.UTC(2020, 0, 1);
/** How far a host's clock may be ahead of the console's before its times mean nothing. */
const MOST_AHEAD_MS = 86_400_000;
const LONGEST_WINDOW_S = 3_600;
const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);
const MAX_POLICY_KEYS = 20;
/** Characters; names of DNS have 253, paths of Linux 4,096. */
const LENGTHS = { name: 256, key: 512, path: 4_096, short: 64, sentence: 1_024 } as const;
const MAX_REMEMBERED = 20_000;

export class RecordJudge {
  /** Refused since it was made. */
  refused = 0;
  readonly #texts = new Map<string, string>();
  readonly #addresses = new Map<string, string | null>();

  /** Those that can be true, fit to be kept. @param nowMs the console's clock */
  judge(records: readonly FlowRecord[], nowMs: number): FlowRecord[] {
    // The same texts come again and again: each is looked at once, until there are too many to remember.
    if (this.#texts.size > MAX_REMEMBERED) this.#texts.clear();
    if (this.#addresses.size > MAX_REMEMBERED) this.#addresses.clear();
    const kept = records.filter((record) => isPossible(record, nowMs) && this.#clean(record));
    this.refused += records.length - kept.length;
    return kept;
  }

  /** False when an address is none. */
  #clean(record: FlowRecord): boolean {
    const source = this.#end(record.sourceAddress, record);
    const destination = this.#end(record.destinationAddress, record);
    if (source === null || destination === null) return false;
    record.sourceAddress = source;
    record.destinationAddress = destination;
    record.sourceName = this.#text(record.sourceName, LENGTHS.name);
    record.destinationName = this.#text(record.destinationName, LENGTHS.name);
    record.observedName = this.#text(record.observedName, LENGTHS.name);
    record.subjectKey = this.#text(record.subjectKey, LENGTHS.key);
    record.cgroupPath = this.#text(record.cgroupPath, LENGTHS.path);
    if (record.hook > FlowHook.EDGE) record.hook = FlowHook.UNSPECIFIED;
    const { process, decision } = record;
    if (process) {
      process.userName = this.#text(process.userName, LENGTHS.short);
      process.command = this.#text(process.command, LENGTHS.short);
      process.executable = this.#text(process.executable, LENGTHS.path);
    }
    if (decision) this.#cleanDecision(decision);
    return true;
  }

  #cleanDecision(decision: Decision): void {
    // What this console does not know of it would be kept and passed on as it came.
    delete decision.$unknown;
    decision.id = this.#text(decision.id, LENGTHS.short);
    decision.rule = this.#text(decision.rule, LENGTHS.name);
    decision.summary = this.#text(decision.summary, LENGTHS.sentence);
    if (decision.policyKeys.length > MAX_POLICY_KEYS) decision.policyKeys.length = MAX_POLICY_KEYS;
    decision.policyKeys = decision.policyKeys.map((key) => this.#text(key, LENGTHS.key).replaceAll("\n", " "));
    if (decision.source) {
      delete decision.source.$unknown;
      decision.source.file = this.#text(decision.source.file, LENGTHS.path);
    }
  }

  #text(text: string, length: number): string {
    if (text === "") return text;
    const known = text.length <= length ? this.#texts.get(text) : undefined;
    if (known !== undefined) return known;
    const cut = text.length > length ? `${text.slice(0, length - 1)}…` : text;
    const clean = hasInvisible(cut) ? replaceInvisible(cut, (codePoint) => `\\u{${codePoint.toString(16)}}`) : cut;
    if (text.length <= length) this.#texts.set(text, clean);
    return clean;
  }

  /** Flows that were folded into one record may have had different ends: then it has none. */
  #end(text: string, { foldedFlows }: FlowRecord): string | null {
    return text === "" && foldedFlows > 0 ? "" : this.#address(text);
  }

  /** Canonical; `null` for what is none. */
  #address(text: string): string | null {
    const known = this.#addresses.get(text);
    if (known !== undefined) return known;
    const parsed = parseAddress(text);
    const address = parsed.ok ? formatAddress(parsed.bytes) : null;
    if (text.length <= LENGTHS.short) this.#addresses.set(text, address);
    return address;
  }
}

function isPossible(record: FlowRecord, nowMs: number): boolean {
  const { windowStart, firstSeen, lastSeen, windowSeconds, direction, verdict, enforced } = record;
  if (windowSeconds < 1 || windowSeconds > LONGEST_WINDOW_S) return false;
  if (!isTime(windowStart, nowMs) || !isTime(firstSeen, nowMs) || !isTime(lastSeen, nowMs)) return false;
  if (timestampMs(lastSeen) < timestampMs(firstSeen)) return false;
  if (direction !== Direction.INGRESS && direction !== Direction.EGRESS) return false;
  if (!isVerdict(verdict) || !isVerdict(enforced)) return false;
  if (record.protocol > 255 || record.destinationPort > 65_535) return false;
  const { started, ended, deniedPackets, packets, originatorBytes, responderBytes, generation } = record;
  return [started, ended, deniedPackets, packets, originatorBytes, responderBytes, generation].every(
    (count) => count <= MAX_COUNT,
  );
}

function isTime(time: Timestamp | undefined, nowMs: number): time is Timestamp {
  if (!time || time.nanos < 0 || time.nanos > 999_999_999) return false;
  const timeMs = timestampMs(time);
  return timeMs >= EARLIEST_MS && timeMs <= nowMs + MOST_AHEAD_MS;
}

function isVerdict(verdict: Verdict): boolean {
  return verdict === Verdict.ALLOW || verdict === Verdict.DENY;
}
