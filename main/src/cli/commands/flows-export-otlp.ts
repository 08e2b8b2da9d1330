/** `wardline flows export --otlp URL`: flows to an OpenTelemetry collector. */
import { readFileSync, statSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { exportOnAndOn, exportOnce } from "../../backend/history/export/otlp-export.ts";
import { OtlpSender, type OtlpTarget } from "../../backend/history/export/otlp-sender.ts";
import { readQuery } from "../../backend/history/service/read-query.ts";
import { hostNameOf } from "../../backend/hosts/managed-host.ts";
import { systemClock } from "../../backend/ports.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import { typedQuery } from "../input/flow-query.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { reportFailure } from "../report-failure.ts";
import { type Session, withSession } from "../session.ts";
import type { FlowsExportOptions } from "./flows.options.ts";
import { fetchNewest, untilStopped } from "./flows-fetch.ts";

type OtlpOptions = FlowsExportOptions & { readonly otlp: string };

const MAX_FILE_BYTES = 256 * 1024;
const MAX_HEADERS = 50;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*[:=]\s*([\t\x20-\x7e]*)$/;

/** Exit code 3 when the collector takes nothing. */
export async function exportOtlp(output: Output, options: OtlpOptions, words: readonly string[]): Promise<ExitCode> {
  const target = targetOf(output, options);
  if (options.follow) requireChangesAllowed();
  const sender = new OtlpSender(target);
  try {
    return await withSession(options, { collectFlows: true }, async (session) => {
      const typed = await typedQuery(output, session, words, options.since);
      await fetchNewest(session, options);
      const facts = await session.backend.endpoints.facts();
      const query = readQuery({ $typeName: "wardline.console.v1.HistoryQuery", ...typed }, Date.now(), facts);
      if (options.follow && query.untilMs !== null) {
        throw new UsageError("--follow goes on without an end: leave until out of the query.");
      }
      let delivered = 0;
      const isInterrupted = await untilStopped(async (signal) => {
        delivered = await (options.follow
          ? followed(output, session, sender, target, query, options, signal)
          : exportOnce(portsOf(session, sender, options), query, options.limit, signal));
      });
      const count = `${delivered.toLocaleString("en")} records delivered to ${target.url.origin}`;
      if (output.format === "json") output.json({ delivered, isComplete: !isInterrupted || options.follow });
      else output.text(`${count}${isInterrupted && !options.follow ? " before it was interrupted" : ""}.\n`);
      return isInterrupted && !options.follow ? EXIT.problems : EXIT.done;
    });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== ErrorCode.DELIVERY_FAILED) throw error;
    reportFailure(error, output.format);
    return EXIT.unreachable;
  } finally {
    await sender.close();
  }
}

function portsOf({ backend }: Session, sender: OtlpSender, options: OtlpOptions) {
  const labels = () => backend.endpoints.known().labels;
  return { history: backend.history, sender, clock: systemClock, labels, withMetrics: options.metrics };
}

function followed(
  output: Output,
  session: Session,
  sender: OtlpSender,
  target: OtlpTarget,
  query: ReturnType<typeof readQuery>,
  options: OtlpOptions,
  signal: AbortSignal,
): Promise<number> {
  const { registry, exportPositions } = session.backend;
  const ports = {
    ...portsOf(session, sender, options),
    positions: exportPositions,
    hosts: () => registry.hosts.map((host) => ({ id: host.id, name: hostNameOf(host) })),
    everyMs: options.every,
    note: (text: string) => output.note(text),
  };
  output.note(`Following; Ctrl-C ends it, and the next start goes on from there.`);
  return exportOnAndOn(ports, { url: target.url.href, query, fromMs: query.sinceMs ?? Date.now() }, signal);
}

/** @throws UsageError */
function targetOf(output: Output, options: OtlpOptions): OtlpTarget {
  const url = urlOf(options.otlp);
  const headers = options.otlpHeaders === undefined ? {} : headersOf(output, options.otlpHeaders);
  const hasHeaders = Object.keys(headers).length > 0 || Boolean(process.env.OTEL_EXPORTER_OTLP_HEADERS);
  if (url.protocol === "http:" && hasHeaders && !isLoopback(url.hostname)) {
    output.note(`The headers go to ${url.origin} without encryption: whoever is on the way can read them.`);
  }
  if ((options.otlpCert === undefined) !== (options.otlpKey === undefined)) {
    throw new UsageError("A client certificate needs its key: give both --otlp-cert and --otlp-key.");
  }
  return {
    url,
    headers,
    ...(options.otlpCa === undefined ? {} : { ca: pemOf(options.otlpCa) }),
    ...(options.otlpCert === undefined ? {} : { cert: pemOf(options.otlpCert) }),
    ...(options.otlpKey === undefined ? {} : { key: pemOf(options.otlpKey) }),
  };
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new UsageError(
      `"${text.slice(0, 200)}" is not the address of a collector.`,
      "Give one such as https://collector:4318.",
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new UsageError(
      "The address of a collector has no user, password or query: other users of this machine see the command line.",
      "Put what proves who you are into a file of headers: --otlp-headers.",
    );
  }
  return url;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\./.test(host);
}

/** One `name: value` a line; empty lines and lines with # are left out. */
function headersOf(output: Output, path: string): Record<string, string> {
  const text = fileText(path);
  if ((statSync(path).mode & 0o077) !== 0)
    output.note(`Other users can read ${path}: chmod 600 keeps its headers to you.`);
  const headers: Record<string, string> = {};
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, name, value] = HEADER.exec(line.trim()) ?? [];
    if (name === undefined || value === undefined) {
      // The line itself may be a secret.
      throw new UsageError(`Line ${index + 1} of ${path} is no header.`, "Write one `name: value` a line.");
    }
    headers[name] = value;
  }
  if (Object.keys(headers).length > MAX_HEADERS) throw new UsageError(`${path} has more than ${MAX_HEADERS} headers.`);
  return headers;
}

function pemOf(path: string): string {
  const text = fileText(path);
  if (text.includes("-----BEGIN ")) return text;
  throw new UsageError(`${path} is not in PEM.`);
}

function fileText(path: string): string {
  try {
    if (statSync(path).size > MAX_FILE_BYTES) throw new UsageError(`${path} is too large for this.`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
