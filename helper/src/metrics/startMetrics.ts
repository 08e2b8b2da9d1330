/** The metrics of a running agent: made at the first scrape, so that a host nobody asks pays nothing but the open port. */
import { readFile, stat } from "node:fs/promises";
import type { SyncReport } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { AgentMetrics } from "./agentMetrics.ts";
import { isLoopback, type MetricsAddress, serveMetrics } from "./metricsServer.ts";
import type { MetricsEvents, MetricsSources } from "./sources.ts";

export interface MetricsOptions {
  /** `null` = no endpoint. */
  readonly listen: MetricsAddress | null;
  /** A file that only its owner can read, with one line: what scrapers send. Needed outside of loopback. */
  readonly tokenPath: string | null;
}

export interface RunningMetrics extends MetricsEvents {
  /** `null` = no endpoint, or none that could be opened. */
  readonly port: number | null;
  /** Why there is no endpoint although one was asked for; `null` = all is well. */
  readonly problem: string | null;
  close(): Promise<void>;
}

const SHORTEST_TOKEN = 16;
const LONGEST_TOKEN = 512;
/** Of what happened before the first scrape: enough for any start, bounded for a host that is never asked. */
const KEPT_EVENTS = 1_000;

/**
 * Never rejects because of the address: a taken port is a problem that is said, not a reason to leave a host unenforced.
 * Throws `Failure` INVALID_ARGUMENT, PERMISSION_DENIED when the token is missing, too short or readable by others.
 */
export async function startMetrics(
  options: MetricsOptions,
  sources: MetricsSources,
  log: Logger,
): Promise<RunningMetrics> {
  const { listen, tokenPath } = options;
  if (listen === null) return { port: null, problem: null, applied() {}, reported() {}, close: async () => {} };
  const token = tokenPath === null ? null : await readToken(tokenPath);
  if (token === null && !isLoopback(listen.host)) throw tokenNeeded(listen.host);
  const early: ((metrics: AgentMetrics) => void)[] = [];
  let metrics: AgentMetrics | null = null;
  const tell = (event: (metrics: AgentMetrics) => void) => {
    if (metrics) event(metrics);
    else if (early.length < KEPT_EVENTS) early.push(event);
  };
  const ready = async () => {
    if (metrics) return metrics;
    // The library takes 6 MB: not before somebody scrapes.
    const { AgentMetrics: Metrics } = await import("./agentMetrics.ts");
    if (metrics) return metrics;
    metrics = new Metrics(sources);
    for (const event of early.splice(0)) event(metrics);
    return metrics;
  };
  const render = async () => {
    const all = await ready();
    return { text: await all.render(), contentType: all.contentType };
  };
  const events = {
    applied: (totalUs: number) => tell((all) => all.applied(totalUs)),
    reported: (report: SyncReport) => tell((all) => all.reported(report)),
  };
  try {
    const server = await serveMetrics({ address: listen, token, render, log });
    return { port: server.port, problem: null, ...events, close: () => server.close() };
  } catch (error) {
    const problem = `No metrics on ${listen.host}:${listen.port}: ${error instanceof Error ? error.message : String(error)}`;
    log.warn({ problem }, "the metrics endpoint could not be opened");
    return { port: null, problem, ...events, close: async () => {} };
  }
}

function tokenNeeded(host: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `Metrics on ${host} can be read from other machines, and no token was given.`,
    hint: "Give a file with a token by --metrics-token-file, or listen on 127.0.0.1.",
  });
}

async function readToken(path: string): Promise<string> {
  const { mode } = await stat(path).catch((error: unknown) => {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The metrics token cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      hint: "Give the path of a file with one line of at least 16 characters.",
    });
  });
  if ((mode & 0o077) !== 0) {
    throw new Failure({
      code: ErrorCode.PERMISSION_DENIED,
      message: `${path} can be read by others than its owner.`,
      hint: `Take that away: chmod 600 ${path}`,
    });
  }
  const token = (await readFile(path, "utf8")).trim();
  if (token.length < SHORTEST_TOKEN || token.length > LONGEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `${path} does not hold a token: ${SHORTEST_TOKEN} to ${LONGEST_TOKEN} visible characters without blanks.`,
      hint: "For example: openssl rand -hex 32",
    });
  }
  return token;
}
