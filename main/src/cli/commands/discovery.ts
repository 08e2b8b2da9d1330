/** `wardline discovery register|deregister|list|resolve|watch` */
import { toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  DeregisterServiceResponseSchema,
  ListServicesResponseSchema,
  RegisterServiceResponseSchema,
  ResolveResponseSchema,
  WatchEndpointsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { HealthCheckKind, type ResolvedEndpoint, ServiceHealth } from "@wardline/api/wardline/v1/cluster";
import { bounded, READ_TIMEOUT_MS, WRITE_TIMEOUT_MS } from "../../backend/cluster/cluster-calls.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Cell, formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { untilInterrupted, withTarget } from "./cluster-target.ts";
import { spanOf } from "./cluster-view.ts";
import type { DeregisterOptions, ListOptions, QueryOptions, RegisterOptions } from "./discovery.options.ts";

const HEALTH: Record<ServiceHealth, string> = {
  [ServiceHealth.UNSPECIFIED]: "",
  [ServiceHealth.UNKNOWN]: "unchecked",
  [ServiceHealth.PASSING]: "passing",
  [ServiceHealth.FAILING]: "failing",
};

/** `wardline discovery register SERVICE` */
export async function discoveryRegister(output: Output, options: RegisterOptions, service: string): Promise<ExitCode> {
  requireChangesAllowed();
  return withTarget(options, async ({ write }) => {
    const { namespace, address, port, instance, label, check, interval, ttl } = options;
    const request = {
      instance: {
        ...{ namespace, service, instance, address, port, labels: { ...label } },
        check: check === "tcp" ? HealthCheckKind.TCP : HealthCheckKind.NONE,
        ...(interval === undefined ? {} : { checkInterval: durationFromMs(interval) }),
        ...(ttl === undefined ? {} : { timeToLive: durationFromMs(ttl) }),
      },
    };
    // Registering the same again renews it.
    const answer = await write((client) => client.registerService(request, { timeoutMs: WRITE_TIMEOUT_MS }), {
      isRepeatable: true,
    });
    const known = bounded(RegisterServiceResponseSchema, answer);
    if (output.format === "json") output.json(toJson(RegisterServiceResponseSchema, known));
    else {
      const place = `${known.instance?.namespace ?? namespace}/${known.instance?.service ?? service}`;
      output.text(`${visible(place)} is at ${visible(known.instance?.address ?? address)} port ${port}.\n`);
    }
    return EXIT.done;
  });
}

/** `wardline discovery deregister SERVICE`: exit code 1 when there was none. */
export async function discoveryDeregister(
  output: Output,
  options: DeregisterOptions,
  service: string,
): Promise<ExitCode> {
  requireChangesAllowed();
  return withTarget(options, async ({ write }) => {
    const { namespace, instance } = options;
    const request = { namespace, service, instance };
    const answer = await write((client) => client.deregisterService(request, { timeoutMs: WRITE_TIMEOUT_MS }), {
      isRepeatable: true,
    });
    if (output.format === "json") output.json(toJson(DeregisterServiceResponseSchema, answer));
    else output.text(`${answer.removed} of ${visible(`${namespace}/${service}`)} taken out.\n`);
    return answer.removed > 0 ? EXIT.done : EXIT.problems;
  });
}

/** `wardline discovery list` */
export async function discoveryList(output: Output, options: ListOptions): Promise<ExitCode> {
  return withTarget(options, async ({ read }) => {
    const { namespace, service } = options;
    const { instances } = await read(async (client) =>
      bounded(
        ListServicesResponseSchema,
        await client.listServices({ namespace, service }, { timeoutMs: READ_TIMEOUT_MS }),
      ),
    );
    if (output.format === "json") {
      output.json(
        toJson(ListServicesResponseSchema, { $typeName: "wardline.agent.v1.ListServicesResponse", instances }),
      );
      return EXIT.done;
    }
    const rows = instances.map((each) => [
      `${each.namespace}/${each.service}`,
      each.instance,
      each.address,
      String(each.port),
      healthCell(output, each.health),
      labelText(each.labels),
      each.registeredBy,
      each.healthDetail,
    ]);
    const header = ["SERVICE", "INSTANCE", "ADDRESS", "PORT", "HEALTH", "LABELS", "BY", "DETAIL"];
    output.text(rows.length > 0 ? formatTable(header, rows) : "No service is registered.\n");
    return EXIT.done;
  });
}

/** `wardline discovery resolve` */
export async function discoveryResolve(output: Output, options: QueryOptions): Promise<ExitCode> {
  const query = queryOf(options);
  return withTarget(options, async ({ read }) => {
    const answer = await read(async (client) =>
      bounded(ResolveResponseSchema, await client.resolve({ query }, { timeoutMs: READ_TIMEOUT_MS })),
    );
    if (output.format === "json") output.json(toJson(ResolveResponseSchema, answer));
    else {
      output.text(answer.endpoints.length > 0 ? endpointsTable(output, answer.endpoints) : "No address.\n");
      if (answer.stale) output.note("The store does not answer: this is what was last known.");
    }
    return answer.endpoints.length > 0 ? EXIT.done : EXIT.problems;
  });
}

/** `wardline discovery watch` */
export async function discoveryWatch(output: Output, options: QueryOptions): Promise<ExitCode> {
  const query = queryOf(options);
  return withTarget(options, async ({ read }) => {
    await untilInterrupted(output.note, (signal) =>
      read(async (client) => {
        for await (const message of client.watchEndpoints({ query }, { signal })) {
          const { endpoints } = bounded(WatchEndpointsResponseSchema, message);
          if (output.format === "json") {
            process.stdout.write(`${JSON.stringify(toJson(WatchEndpointsResponseSchema, message))}\n`);
          } else {
            const time = new Date().toISOString().slice(11, 19);
            const table = endpoints.length > 0 ? endpointsTable(output, endpoints) : "No address.\n";
            output.text(`${output.style.dim(time)}\n${table}`);
          }
        }
      }),
    );
    return EXIT.done;
  });
}

/** @throws UsageError */
function queryOf({ label, member, service, name }: QueryOptions) {
  const labels = { ...label };
  const given = [Object.keys(labels).length > 0, member !== undefined, service !== undefined, name !== undefined];
  if (given.filter(Boolean).length !== 1) {
    throw new UsageError("Say what: one of --label, --member, --service and --name.");
  }
  return { labels, host: member ?? "", service: service ?? "", domainName: name ?? "" };
}

function endpointsTable(output: Output, endpoints: readonly ResolvedEndpoint[]): string {
  const rows = endpoints.map((each) => [
    each.key,
    each.addresses.join(", "),
    each.port === 0 ? "" : String(each.port),
    each.source,
    healthCell(output, each.health),
    spanOf(each.timeToLive),
    labelText(each.labels),
  ]);
  return formatTable(["NAME", "ADDRESSES", "PORT", "FROM", "HEALTH", "TTL", "LABELS"], rows);
}

function healthCell({ style }: Output, health: ServiceHealth): Cell {
  const paint =
    health === ServiceHealth.FAILING ? style.red : health === ServiceHealth.PASSING ? style.green : style.dim;
  return { text: HEALTH[health], paint };
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
