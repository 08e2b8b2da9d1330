/** The tables behind the summary, one for each file of results. */
import { figure, interval, link, signed, spread, table } from "./markdown.ts";
import { follow, membersOf, numberAt, type Results } from "./results.ts";

/** Where, how, and the table. */
function section(title: string, file: string, results: Results, body: string, more = ""): string {
  const method = results.text(file, "method");
  return `### ${title} (${link(file)})\n\n${method === null ? "" : `${method}\n\n`}${more === "" ? "" : `${more}\n\n`}${body}\n`;
}

function packets(results: Results): string {
  const sizes = results.entries("packet", "decisions").map(([size]) => size);
  const names = [
    ...new Set(results.entries("packet", "decisions").flatMap(([, cases]) => membersOf(cases).map(([name]) => name))),
  ];
  const cell = (size: string, name: string, who: string): string =>
    figure(results.number("packet", "decisions", size, name, who, "medianNs"), 0);
  const rows = names.map((name) => [name, ...sizes.map((size) => cell(size, name, "wardline"))]);
  const peer = "IPv4, shared ports, random hit";
  for (const [who, label] of [
    ["empty", "the same program without a lookup"],
    ["hash", "one exact hash lookup, no ports (lower bound)"],
    ["linear", "one rule after the other"],
  ] as const)
    rows.push([`*peer: ${label}*`, ...sizes.map((size) => cell(size, peer, who))]);
  const whole = results
    .entries("packet", "packets")
    .flatMap(([size, families]) =>
      membersOf(families).map(([family, one]) => [
        `${figure(Number(size), 0)} entries, ${family}`,
        ...["emptyProgram", "establishedIngress", "establishedEgress", "firstPacketLookups", "denied"].map((kind) =>
          figure(numberAt(one, kind, "medianNs"), 0),
        ),
      ]),
    );
  const head = ["ns for one decision, address changes", ...sizes.map((size) => figure(Number(size), 0))];
  const wholeHead = [
    "ns, one repeated packet",
    "an empty program",
    "established in",
    "established out",
    "lookups of a first packet",
    "denied",
  ];
  return section(
    "B1, B2: one packet",
    "packet",
    results,
    `${table(head, rows)}\n${table(wholeHead, whole)}`,
    "`BPF_PROG_TEST_RUN` repeats one packet, whose path would stay in the cache. For decisions, the bench's own programs (`bench/native/lookups.bpf.c`) call the datapath's lookup with an address from a list in random or Zipf order.",
  );
}

function connections(results: Results): string {
  const rows = results
    .entries("connection", "cases")
    .flatMap(([name, one]) =>
      membersOf(follow(one, ["filters"])).map(([filter, figures]) => [
        name,
        filter === "wardline" ? "**wardline**" : filter,
        spread(follow(figures, ["microseconds"])),
        signed(numberAt(figures, "overNone", "median")),
        interval(follow(figures, ["overNone", "interval95"])),
        ...["p50", "p99", "p999"].map((which) => figure(numberAt(figures, `${which}Microseconds`, "median"))),
      ]),
    );
  const head = ["case", "filter", "µs per connection", "over none", "95 % interval", "p50", "p99", "p99.9"];
  const programs = results.entries("connection", "cases").flatMap(([name, one]) => {
    const counted = follow(one, ["programsNs"]);
    const hooks = membersOf(follow(counted, ["wardline"]));
    if (hooks.length === 0) return [];
    const parts = hooks
      .filter(([hook]) => hook !== "total")
      .map(([hook, ns]) => `${hook} ${figure(numberAt(ns, "median"), 0)}`);
    const total = figure(numberAt(counted, "wardline", "total", "median"), 0);
    return [[name, parts.join(", "), total, figure(numberAt(counted, "totalOverEmptyNs"), 0)]];
  });
  return section(
    "B3: a new connection",
    "connection",
    results,
    [
      table(head, rows),
      table(
        ["ns of all programs for one connection, by the kernel's count", "of which", "sum", "over empty programs"],
        programs,
      ),
    ].join("\n"),
  );
}

function established(results: Results): string {
  const trips = results
    .entries("established", "roundTrip")
    .flatMap(([name, figures]) =>
      membersOf(follow(figures, ["meanMicroseconds"])).map(([filter, one]) => [
        ...[name, filter, spread(follow(one, ["value"]), 2), signed(numberAt(one, "overNone", "median"), 2)],
        ...["p99Microseconds", "p999Microseconds"].map((which) =>
          figure(numberAt(figures, which, filter, "value", "median"), 1),
        ),
      ]),
    );
  const rates = results
    .entries("established", "datagramsPerSecond")
    .map(([filter, one]) => [
      ...[filter, spread(follow(one, ["value"]), 0)],
      figure(results.number("established", "percentReceived", filter, "value", "median")),
    ]);
  const programs = results
    .entries("established", "programs")
    .map(([name, one]) => [
      name,
      ...["ingressNs", "ingressOverEmptyNs", "egressNs", "egressOverEmptyNs"].map((which) =>
        spread(follow(one, [which]), 0),
      ),
    ]);
  return section(
    "B2, B4: established flows",
    "established",
    results,
    [
      table(["round trip", "filter", "µs", "over none", "p99", "p99.9"], trips),
      table(["64-byte datagrams", "sent per second", "% received"], rates),
      table(["ns by the kernel's count", "in", "in, over empty", "out", "out, over empty"], programs),
    ].join("\n"),
  );
}

function throughput(results: Results): string {
  const rows = results.entries("throughput", "gigabitsPerSecond").flatMap(([streams, one]) =>
    membersOf(follow(one, ["filters"]))
      .filter(([, described]) => described !== null)
      .map(([filter, described]) => {
        const interval = follow(one, ["ratioInterval95", filter]);
        return [
          ...[streams, filter, spread(follow(described, ["value"]))],
          `${figure(numberAt(interval, "low"), 3)}–${figure(numberAt(interval, "high"), 3)}`,
        ];
      }),
  );
  return section(
    "B5: throughput",
    "throughput",
    results,
    table(["", "filter", "Gbit/s", "95 % of the ratio to none"], rows),
  );
}

function applies(results: Results): string {
  const parts = ["readMs", "compileMs", "fillMs", "selfTestMs", "flipMs"];
  const rows = results
    .entries("scale", "whole")
    .map(([size, one]) => [
      `${size}${(numberAt(one, "networksPerRule") ?? 1) > 1 ? " (ten networks share one)" : ""}`,
      ...[spread(follow(one, ["totalMs"])), figure(numberAt(one, "totalMs", "p95"))],
      ...parts.map((part) => figure(numberAt(one, part, "median"), 2)),
      figure(numberAt(one, "nftFileMs", "median")),
    ]);
  const deltas = results.entries("scale", "oneRule").map(([name, one]) => {
    const own = follow(one, ["wardline"]);
    return [
      ...[name, spread(follow(own, ["totalMs"])), figure(numberAt(own, "totalMs", "p95"))],
      ...parts.map((part) => figure(numberAt(own, part, "median"), 2)),
      figure(numberAt(one, "nftAddElementMs", "median")),
    ];
  });
  const agent = results
    .entries("apply", "sizes")
    .map(([size, one]) => [
      ...[size, spread(follow(one, ["agentMs"])), figure(numberAt(one, "p95AgentMs"))],
      ...[spread(follow(one, ["roundTripMs"])), figure(numberAt(one, "nftMs", "median"))],
    ]);
  const head = ["total ms", "p95", "read", "compile", "fill and read back", "self-test", "flip"];
  return [
    section(
      "B6, B7: apply",
      "scale",
      results,
      [
        table(["every rule changed", ...head, "`nft -f`"], rows),
        table(["one rule changed", ...head, "`nft add element`"], deltas),
      ].join("\n"),
    ),
    section(
      "B6: apply through the agent's socket, with its record on disk",
      "apply",
      results,
      table(["", "agent, ms", "p95", "as its client sees it", "`nft -f`"], agent),
    ),
  ].join("\n");
}

function events(results: Results): string {
  const rows = results
    .entries("events", "results")
    .map(([name, one]) => [
      ...[name, figure(numberAt(one, "made")), figure(numberAt(one, "delivered"))],
      ...["ringFull", "rateLimited"].map((cause) => figure(numberAt(one, "losses", cause))),
      follow(one, ["exact"]) === null
        ? `unaccounted: ${figure(numberAt(one, "unaccounted"))}`
        : `${follow(one, ["exact"])}`,
      figure(numberAt(one, "deliveredPerSecond")),
    ]);
  const head = ["", "made", "delivered", "ring full", "rate limited", "exact", "delivered per second"];
  return section("B8: events under a flood", "events", results, table(head, rows));
}

function continuity(results: Results): string {
  const rows = ["wardline", "nftables"].map((name) => [
    name,
    ...["runs", "swaps", "allowedProbes", "deniedProbes", "leaked", "wronglyDropped"].map((key) =>
      figure(results.number("continuity", name, key)),
    ),
  ]);
  const head = ["", "runs", "swaps", "allowed probes", "denied probes", "leaked", "wrongly dropped"];
  return section("B9: continuity", "continuity", results, table(head, rows));
}

function queue(results: Results): string {
  const rows = results
    .entries("queue", "microseconds")
    .map(([name, one]) => [...[name, spread(follow(one, ["value"])), signed(numberAt(one, "overNone", "median"))]]);
  const way = results.text("queue", "way");
  const more = `Way: ${way ?? "none possible here, see what was left out"}. Published by others, not measured here: ${results
    .entries("queue", "documented")
    .filter(([key]) => key !== "note")
    .map(([, text]) => text)
    .join("; ")}.`;
  return section(
    "B10: a verdict in user space",
    "queue",
    results,
    table(["", "µs per connection", "over none"], rows),
    more,
  );
}

function memory(results: Results): string {
  const rows = results.entries("memory", "sizes").flatMap(([size, places]) =>
    membersOf(places)
      .filter(([where]) => where !== "nftables")
      .map(([where, one]) => [
        ...[size, where, figure(numberAt(one, "tablesMiB"), 2), figure(numberAt(one, "freedAfterMs"), 1)],
        ...[figure(numberAt(one, "worstMicroseconds"), 0), figure(numberAt(one, "overOneMillisecond"))],
        figure(numberAt(places, "nftables", "setMiB"), 2),
      ]),
  );
  const quiet = results
    .entries("memory", "quiet")
    .map(([where, one]) => [
      ...[
        "quiet",
        where,
        "",
        "",
        figure(numberAt(one, "worstMicroseconds"), 0),
        figure(numberAt(one, "overOneMillisecond")),
        "",
      ],
    ]);
  const head = ["", "ping-pong on", "tables, MiB", "let go after ms", "worst µs", "over 1 ms", "nftables set, MiB"];
  return section("B11: memory and freeing", "memory", results, table(head, [...quiet, ...rows]));
}

function flood(results: Results): string {
  const rows = results
    .entries("flood", "results")
    .flatMap(([name, filters]) =>
      membersOf(filters).map(([filter, one]) => [
        ...[name, filter, figure(numberAt(one, "floodPacketsPerSecond")), figure(numberAt(one, "exchanges"))],
        ...[figure(numberAt(one, "lostFlows")), figure(numberAt(one, "opened")), figure(numberAt(one, "lostOpens"))],
        ...[figure(numberAt(one, "worstMs")), `${follow(one, ["canConnectAfterwards"]) ?? "–"}`],
      ]),
    );
  const head = [
    "flood",
    "filter",
    "packets/s",
    "exchanges",
    "flows lost",
    "opened",
    "opens lost",
    "worst ms",
    "can connect after",
  ];
  return section("B12: floods", "flood", results, table(head, rows));
}

function load(results: Results): string {
  const entries = results.entries("load", "results");
  // Results of before it was measured lack it.
  const own = entries.some(([, one]) => numberAt(one, "agentOwnMiB") !== null);
  const columns = [
    ["agentProcessorPercent", "agent, % of a processor"],
    ["agentResidentMiB", "agent, MiB"],
    ...(own ? [["agentOwnMiB", "of that in no file"]] : []),
    ["consoleProcessorPercent", "console, %"],
    ["consoleResidentMiB", "console, MiB"],
  ] as const;
  const rows = entries.map(([rate, one]) => [rate, ...columns.map(([key]) => figure(numberAt(one, key), 2))]);
  return section("B15: agent and console", "load", results, table(["", ...columns.map(([, head]) => head)], rows));
}

function verifier(results: Results): string {
  const rows = results
    .entries("verifier", "programs")
    .map(([name, one]) => [
      `\`${name}\``,
      ...["verifiedInstructions", "instructions", "machineCodeBytes"].map((key) => figure(numberAt(one, key), 0)),
    ]);
  const more = "`helper/src/enforce/ebpf/instructionCounts.test.ts` fails when one grows by more than 15 %.";
  const head = ["program", "walked by the verifier", "instructions", "bytes of machine code"];
  return section("Programs", "verifier", results, table(head, rows), more);
}

export function details(results: Results): string {
  return [
    packets,
    connections,
    established,
    throughput,
    applies,
    events,
    continuity,
    queue,
    memory,
    flood,
    load,
    verifier,
  ]
    .map((part) => part(results))
    .join("\n");
}
