/** One line for each of B1 to B15: what was asked, what came out, and whether it is met. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { figure, interval, link, signed, table, verdict } from "./markdown.ts";
import { follow, membersOf, numberAt, type Results } from "./results.ts";

interface Row {
  readonly number: string;
  readonly what: string;
  readonly passLine: string;
  readonly result: string;
  readonly isMet: boolean | null;
  /** File of results; `null` = it is about tests. */
  readonly file: string | null;
  readonly where?: string;
}

const CLIENT = "TCP IPv4, client guarded";

function worst(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function isUnder(value: number | null, limit: number): boolean | null {
  return value === null ? null : value < limit;
}

function packetRow(results: Results): Row {
  const growth = results.entries("packet", "growthFrom8To16384");
  const of = (shape: string): number | null =>
    worst(
      growth.filter(([name]) => name.includes(shape)).map(([, value]) => (typeof value === "number" ? value : null)),
    );
  // With ports of its own each network has four entries: harder than the line asks, and shown beside it.
  const [shared, own] = [of("shared"), of("own")];
  const entries = results.number("packet", "entriesOf", "16384 IPv4 own");
  return {
    number: "B1",
    what: "ns per packet against the number of entries",
    passLine: "under 2x from 8 to 16,384",
    result: `worst ${figure(shared, 2)}x (networks that share 64 services); ${figure(own, 2)}x where each has ports of its own (${figure(entries, 0)} entries)`,
    isMet: isUnder(shared, 2),
    file: "packet",
  };
}

function repeatedRow(results: Results): Row {
  const over = results.entries("packet", "packets").flatMap(([, families]) =>
    membersOf(families).flatMap(([, one]) => {
      const empty = numberAt(one, "emptyProgram", "medianNs");
      return ["establishedIngress", "establishedEgress"].map((kind) => {
        const whole = numberAt(one, kind, "medianNs");
        return whole === null || empty === null ? null : whole - empty;
      });
    }),
  );
  const highest = worst(over);
  return {
    number: "B2",
    what: "an established packet through the flow table, test run, over an empty program",
    passLine: "under 100 ns",
    result: `at most ${figure(highest, 0)} ns`,
    isMet: isUnder(highest, 100),
    file: "packet",
  };
}

function establishedRow(results: Results): Row {
  const costs = results
    .entries("established", "programs")
    .flatMap(([, one]) => [
      numberAt(one, "ingressOverEmptyNs", "median"),
      numberAt(one, "egressOverEmptyNs", "median"),
    ]);
  const highest = worst(costs);
  const peer = results.number("established", "perPacketOverNoneNs", "UDP IPv4", "nftables set");
  return {
    number: "B2",
    what: "the same with real sockets and their kept verdicts, by the kernel's count",
    passLine: "under 100 ns",
    result: `at most ${figure(highest, 0)} ns; nftables with conntrack ${figure(peer, 0)} ns by difference of round trips`,
    isMet: isUnder(highest, 100),
    file: "established",
  };
}

function connectionRow(results: Results): Row {
  const over = results.number("connection", "cases", CLIENT, "filters", "wardline", "overNone", "median");
  const ratio = results.number("connection", "cases", CLIENT, "wardlineToNftablesSet", "median");
  const bounds = results.at("connection", "cases", CLIENT, "filters", "wardline", "overNone", "interval95");
  const between = bounds === null ? "" : ` (95 % interval ${interval(bounds)})`;
  const counted = results.number("connection", "cases", CLIENT, "programsNs", "totalOverEmptyNs");
  const programs = counted === null ? "" : `; programs ${figure(counted / 1000)} µs by the kernel's count`;
  return {
    number: "B3",
    what: "a new connection over no filter (TCP, IPv4, client guarded)",
    passLine: "at most +3 µs, and below nftables with a set",
    result: `${signed(over)} µs${between}; ${figure(ratio, 3)} of nftables${programs}`,
    isMet: over === null || ratio === null ? null : over <= 3 && ratio < 1,
    file: "connection",
  };
}

function roundTripRow(results: Results): Row {
  const path = ["established", "roundTrip", "UDP IPv4", "meanMicroseconds"] as const;
  const over = results.number(...path, "wardline", "overNone", "median");
  const peer = results.number(...path, "nftables set", "overNone", "median");
  return {
    number: "B4",
    what: "round trip of 64 bytes over UDP, over no filter",
    passLine: "below nftables",
    result: `${signed(over, 2)} µs; nftables ${signed(peer, 2)} µs`,
    isMet: over === null || peer === null ? null : over < peer,
    file: "established",
  };
}

function throughputRow(results: Results): Row {
  const intervals = results.entries("throughput", "gigabitsPerSecond").map(([streams, one]) => {
    const interval = follow(one, ["ratioInterval95", "wardline"]);
    return { streams, low: numberAt(interval, "low"), high: numberAt(interval, "high") };
  });
  const known = intervals.filter(({ high }) => high !== null);
  return {
    number: "B5",
    what: "throughput of iperf3 beside no filter",
    passLine: "within noise",
    result: known.map(({ streams, low, high }) => `${streams} ${figure(low, 2)}–${figure(high, 2)}`).join(", "),
    isMet: known.length === 0 ? null : known.every(({ high }) => (high ?? 0) >= 1),
    file: "throughput",
  };
}

function applyRow(results: Results): Row {
  const p95 = (size: number): number | null => results.number("scale", "whole", `${size} rules`, "totalMs", "p95");
  const [middle, large] = [p95(2500), p95(100_000)];
  const datapath = [2500, 100_000].map((size) =>
    figure(results.number("scale", "whole", `${size} rules`, "datapathMs", "p95"), 0),
  );
  return {
    number: "B6",
    what: "apply, every rule changed, p95",
    passLine: "2,500 rules under 30 ms, 100,000 under 500 ms",
    result: `${figure(middle, 0)} ms, ${figure(large, 0)} ms; without reading and compiling ${datapath.join(" ms, ")} ms`,
    isMet: middle === null || large === null ? null : middle < 30 && large < 500,
    file: "scale",
    where: `${link("scale")}, ${link("apply")}`,
  };
}

function deltaRow(results: Results): Row {
  const p95 = results.number("scale", "oneRule", "one of 100000 rules", "wardline", "totalMs", "p95");
  const small = results.number("scale", "oneRule", "one of 10000 rules", "wardline", "totalMs", "p95");
  const datapath = results.number("scale", "oneRule", "one of 100000 rules", "wardline", "datapathMs", "p95");
  return {
    number: "B7",
    what: "one changed rule in 100,000, p95",
    passLine: "under 20 ms, independent of the number",
    result: `${figure(p95, 0)} ms (one of 10,000: ${figure(small, 0)} ms); without reading and compiling ${figure(datapath, 0)} ms`,
    isMet: isUnder(p95, 20),
    file: "scale",
  };
}

function eventsRow(results: Results): Row {
  const runs = results.entries("events", "results").filter(([name]) => !name.startsWith("conntrack"));
  const exact = runs.filter(([, run]) => follow(run, ["exact"]) === true).length;
  return {
    number: "B8",
    what: "events made = delivered + losses by cause, under a flood",
    passLine: "exact",
    result: `${exact} of ${runs.length} runs exact`,
    isMet: runs.length === 0 ? null : exact === runs.length,
    file: "events",
  };
}

function continuityRow(results: Results): Row {
  const leaked = results.number("continuity", "wardline", "leaked");
  const dropped = results.number("continuity", "wardline", "wronglyDropped");
  const probes = results.number("continuity", "wardline", "allowedProbes");
  return {
    number: "B9",
    what: "SIGKILL, restart, upgrade, swaps, at 1,000 probes a second",
    passLine: "nothing leaked, nothing wrongly dropped",
    result: `${figure(leaked)} leaked, ${figure(dropped)} dropped of ${figure(probes)} allowed`,
    isMet: leaked === null || dropped === null ? null : leaked === 0 && dropped === 0,
    file: "continuity",
  };
}

function queueRow(results: Results): Row {
  const path = ["queue", "microseconds"] as const;
  const own = results.number(...path, "wardline", "overNone", "median");
  const queue = results.number(...path, "userSpaceVerdict", "overNone", "median");
  return {
    number: "B10",
    what: "a verdict in user space (lower bound) over no filter, for a new connection",
    passLine: "for comparison",
    result: `${signed(queue)} µs; Wardline in the same run ${signed(own)} µs`,
    isMet: null,
    file: "queue",
  };
}

function memoryRow(results: Results): Row {
  const sizes = results.entries("memory", "sizes");
  const highest = worst(sizes.map(([, one]) => numberAt(one, "other processor", "worstMicroseconds")));
  const largest = sizes.at(-1);
  const mebibytes = largest ? numberAt(largest[1], "other processor", "tablesMiB") : null;
  return {
    number: "B11",
    what: "worst round trip while an old generation is freed",
    passLine: "none over 1 ms",
    result: `${figure(highest, 0)} µs; ${largest?.[0] ?? ""} are ${figure(mebibytes)} MiB`,
    isMet: isUnder(highest, 1000),
    file: "memory",
  };
}

function floodRow(results: Results): Row {
  const floods = results.entries("flood", "results");
  const lost = (name: string): (number | null)[] => floods.map(([, byFilter]) => numberAt(byFilter, name, "lost"));
  const sum = (values: readonly (number | null)[]): number | null =>
    values.length === 0 || values.includes(null) ? null : values.reduce<number>((all, one) => all + (one ?? 0), 0);
  const own = sum([...lost("wardline"), ...lost("wardline + edge")]);
  return {
    number: "B12",
    what: "legitimate flows lost under floods from random sources",
    passLine: "0",
    result: `${figure(own)}; nftables ${figure(sum(lost("nftables and conntrack")))}, no filter ${figure(sum(lost("none")))}`,
    isMet: own === null ? null : own === 0,
    file: "flood",
  };
}

const CONFORMANCE = [
  ["domain/src/policy/engines.test.ts", "reference and compiled tables"],
  ["helper/src/enforce/ebpf/differential.test.ts", "tables and kernel"],
  ["helper/src/enforce/nftables/differential.test.ts", "tables and nftables"],
] as const;

/** How many packets the tests compare, as their sources say. */
function conformanceRow(): Row {
  const counts = CONFORMANCE.map(([path, what]) => {
    const text = readFileSync(fileURLToPath(new URL(`../../../../${path}`, import.meta.url)), "utf8");
    const count = Number(/WARDLINE_FUZZ_PACKETS \?\? ([\d_]+)/.exec(text)?.[1]?.replaceAll("_", "") ?? Number.NaN);
    return `${what} ${figure(count, 0)}`;
  });
  return {
    number: "B13",
    what: "conformance: every engine decides alike",
    passLine: "100 % (tests, not a measurement)",
    result: `random packets in each test run: ${counts.join(", ")}`,
    isMet: null,
    file: null,
    where: CONFORMANCE.map(([path]) => `\`${path}\``).join(", "),
  };
}

function auditRow(results: Results): Row {
  const predicted = results.number("audit", "predictedDenied");
  const observed = results.number("audit", "observedDenied");
  const identical = results.at("audit", "identical");
  return {
    number: "B14",
    what: "what the simulator predicts and what the kernel observes",
    passLine: "identical sets",
    result: `${figure(predicted)} and ${figure(observed)} of ${figure(results.number("audit", "servicesRecorded"))} services`,
    isMet: typeof identical === "boolean" ? identical : null,
    file: "audit",
  };
}

function loadRow(results: Results): Row {
  const of = (rate: string, what: string): number | null => results.number("load", "results", `${rate} flows/s`, what);
  const [idle, busy] = [of("0", "agentProcessorPercent"), of("10000", "agentProcessorPercent")];
  const memory = of("0", "agentResidentMiB");
  const known = idle !== null && busy !== null && memory !== null;
  return {
    number: "B15",
    what: "the agent's processor time and memory",
    passLine: "idle under 1 % and 90 MB; 10,000 flows/s under 30 %",
    result: `${figure(idle, 2)} % and ${figure(memory)} MiB; ${figure(busy)} %`,
    isMet: known ? idle < 1 && memory * 1.048576 < 90 && busy < 30 : null,
    file: "load",
  };
}

export function summaryTable(results: Results): string {
  const rows: readonly Row[] = [
    ...[packetRow, repeatedRow, establishedRow, connectionRow, roundTripRow, throughputRow, applyRow, deltaRow].map(
      (row) => row(results),
    ),
    ...[eventsRow, continuityRow, queueRow, memoryRow, floodRow, conformanceRow, auditRow, loadRow].map((row) =>
      row(results),
    ),
  ];
  return table(
    ["#", "what", "pass line", "result", "", "where"],
    rows.map(({ number, what, passLine, result, isMet, file, where }) => [
      ...[number, what, passLine, file === null || results.has(file) ? result : "not measured"],
      ...[verdict(isMet), where ?? link(file ?? "")],
    ]),
  );
}

/** Everything that a measurement of the datapath left out, with its reason. */
export function leftOutList(results: Results, files: readonly string[]): string {
  const lines = files.flatMap((file) =>
    results.list(file, "leftOut").map((entry) => {
      const members = Object.fromEntries(membersOf(entry));
      return `- ${file}: ${members.what}: ${members.why}\n`;
    }),
  );
  const missing = files.filter((file) => !results.has(file)).map((file) => `- ${file}: not measured on this machine\n`);
  return [...new Set([...lines, ...missing])].join("") || "Nothing.\n";
}
