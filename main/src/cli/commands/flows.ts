import { toJson } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Flow, FlowEventKind, FlowHook, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { readFlowQuery } from "../input/flow-query.ts";
import { formatPort } from "../input/port.ts";
import type { Output } from "../output.ts";

import { type Session, withSession } from "../session.ts";
import { formatRow } from "../terminal/table.ts";
import type { FlowsOptions } from "./flows.options.ts";

const HEADER = ["TIME (UTC)", "HOST", "VERDICT", "", "FROM", "TO", "PORT", "PROCESS", "DECIDED BY"];
const WIDTHS = [12, 10, 12, 3, 28, 28, 10, 22, 0];
/** After the agent answers, its history needs a moment to reach the store. */
const SETTLE_MS = 400;
const FIRST_CONTACT_MS = 3_000;

/** `wardline flows`. With JSON one flow a line, so that a reader need not wait for an end. */
export async function flows(output: Output, options: FlowsOptions): Promise<ExitCode> {
  return withSession(options, { collectFlows: true }, async (session) => {
    const isReached = await contact(output, session);
    if (options.follow) await follow(output, session, options);
    else {
      showHeader(output);
      const { flows: found } = await session.flows.queryFlows({
        ...questionOf(output, options),
        limit: options.limit,
      });
      for (const flow of found.reverse()) show(output, flow);
    }
    return isReached ? EXIT.done : EXIT.unreachable;
  });
}

/** What is stored is shown without an agent too; the person is told that nothing new is coming. */
export async function contact(output: Output, session: Session): Promise<boolean> {
  const { connection } = session.backend.registry.local;
  try {
    await connection.client(FIRST_CONTACT_MS);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return true;
  } catch (error) {
    output.note(
      `${error instanceof Error ? error.message : String(error)} Only flows that were stored before are shown.`,
    );
    return false;
  }
}

async function follow(output: Output, session: Session, options: FlowsOptions): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  // Only now: who sees it may tell us to stop at once.
  showHeader(output);
  let lost = 0n;
  let passed = 0n;
  try {
    const request = { ...questionOf(output, options), history: options.limit };
    for await (const message of session.flows.watchFlows(request, { signal: stopping.signal })) {
      for (const flow of message.flows) show(output, flow);
      const { ringFull = 0n, rateLimited = 0n, readerLag = 0n } = message.losses ?? {};
      const total = ringFull + rateLimited + readerLag;
      if (total > lost) output.note(`${total - lost} flows are not shown: there were more than could be recorded.`);
      lost = total;
      if (message.passed > passed)
        output.note(`${message.passed - passed} flows passed too fast to list; they are stored.`);
      passed = message.passed;
    }
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** A query is the window's, whole: the store answers it, live and afterwards alike. */
function questionOf(output: Output, options: FlowsOptions) {
  if (options.query !== undefined) {
    readFlowQuery(output, options.query);
    return { query: options.query };
  }
  return {
    filter: {
      verdicts: options.verdict ? [options.verdict === "allow" ? Verdict.ALLOW : Verdict.DENY] : [],
      ports: options.port === undefined ? [] : [options.port],
      addresses: options.address === undefined ? [] : [options.address],
      processes: options.process === undefined ? [] : [options.process],
      users: options.user === undefined ? [] : [options.user],
      text: options.text ?? "",
      ...(options.since === undefined ? {} : { since: timestampFromMs(Date.now() - options.since) }),
    },
  };
}

function showHeader(output: Output): void {
  if (output.format === "text") output.text(`${output.style.dim(formatRow(HEADER, WIDTHS))}\n`);
}

function show(output: Output, flow: Flow): void {
  if (output.format === "json") process.stdout.write(`${JSON.stringify(toJson(FlowSchema, flow))}\n`);
  else output.text(`${formatFlow(output, flow)}\n`);
}

function formatFlow({ style }: Output, flow: Flow): string {
  const isDenied = flow.verdict === Verdict.DENY;
  const wasLetThrough = isDenied && flow.enforced === Verdict.ALLOW;
  const verdict = wasLetThrough ? "would deny" : isDenied ? "deny" : flow.kind === FlowEventKind.END ? "end" : "allow";
  const paint = wasLetThrough ? style.yellow : isDenied ? style.red : style.green;
  return formatRow(
    [
      { text: flow.time ? timestampDate(flow.time).toISOString().slice(11, 23) : "", paint: style.dim },
      // Two hosts tell of one connection: without it, each would seem to be there twice.
      flow.host,
      { text: verdict, paint },
      flow.direction === Direction.INGRESS ? "in" : "out",
      hasChosenSource(flow) ? nameAndAddress(flow.sourceName, flow.sourceAddress) : flow.sourceName || "this host",
      nameAndAddress(flow.destinationName, flow.destinationAddress),
      formatPort(flow.protocol, flow.destinationPort),
      processText(flow),
      flow.decision?.summary ?? "",
    ],
    WIDTHS,
  );
}

/** `curl[4711]`, or where the packet was met when it had no socket. */
function processText({ process: owner, hook }: Flow): string {
  if (owner) return `${owner.command || "?"}[${owner.pid}]`;
  return hook === FlowHook.EDGE ? "(no socket here)" : "";
}

/** A connection that was refused at connect() had not been given an address of its own yet. */
function hasChosenSource({ hook, sourceAddress }: Flow): boolean {
  return hook !== FlowHook.CONNECT || (sourceAddress !== "0.0.0.0" && sourceAddress !== "::");
}

function nameAndAddress(name: string, address: string): string {
  return name === "" ? address : `${name} (${address})`;
}
