/** `wardline cluster backend show|test|set` */
import { toJson } from "@bufbuild/protobuf";
import { SetStoreResponseSchema, TestStoreResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { StoreEndpointSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { bounded, CHANGE_TIMEOUT_MS, WRITE_TIMEOUT_MS } from "../../backend/cluster/cluster-calls.ts";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { visible } from "../terminal/visible.ts";
import type { BackendOptions, ClusterOptions } from "./cluster.options.ts";
import { storeOf } from "./cluster-store-options.ts";
import { withCluster } from "./cluster-target.ts";
import { endpointsTable, storeText } from "./cluster-view.ts";

export async function backendShow(output: Output, options: ClusterOptions): Promise<ExitCode> {
  return withCluster(options, async ({ status }) => {
    if (output.format === "json") {
      output.json({
        kind: StoreKind[status.store],
        writable: status.storeWritable,
        endpoints: status.endpoints.map((each) => toJson(StoreEndpointSchema, each)),
      });
    } else {
      output.text(`${storeText(status)}\n`);
      if (status.endpoints.length > 0) output.text(`\n${endpointsTable(status.endpoints, output.style)}`);
    }
    return status.storeWritable ? EXIT.done : EXIT.problems;
  });
}

/** Exit code 1 when it could not be used. */
export async function backendTest(output: Output, options: BackendOptions): Promise<ExitCode> {
  const store = await required(options);
  return withCluster(options, async ({ session, host }) => {
    const answer = await session.backend.clusters.onHost(host, (client) =>
      client.testStore({ store }, { timeoutMs: WRITE_TIMEOUT_MS }),
    );
    const { endpoints, usable, problems } = bounded(TestStoreResponseSchema, answer);
    if (output.format === "json") output.json(toJson(TestStoreResponseSchema, answer));
    else {
      if (endpoints.length > 0) output.text(`${endpointsTable(endpoints, output.style)}\n`);
      for (const problem of problems) output.text(`${output.style.yellow("!")} ${visible(problem)}\n`);
      output.text(usable ? "This store could be used.\n" : "This store cannot be used.\n");
    }
    return usable ? EXIT.done : EXIT.problems;
  });
}

export async function backendSet(output: Output, options: BackendOptions): Promise<ExitCode> {
  requireChangesAllowed();
  const store = await required(options);
  return withCluster(options, async ({ write, clusterName }) => {
    const question = `Carry everything of ${visible(clusterName)} over into this store and go on there?`;
    if (!options.yes && !(await confirmOnTerminal(question))) {
      output.note("Nothing was changed.");
      return EXIT.problems;
    }
    const answer = await write((client) => client.setStore({ store }, { timeoutMs: CHANGE_TIMEOUT_MS }));
    const { status } = bounded(SetStoreResponseSchema, answer);
    if (output.format === "json") output.json(toJson(SetStoreResponseSchema, answer));
    else output.text(`${visible(clusterName)} goes on with ${status ? storeText(status) : "the new store"}.\n`);
    return EXIT.done;
  });
}

async function required(options: BackendOptions) {
  const store = await storeOf(options);
  if (store) return store;
  throw new UsageError("Say which store: --etcd URL, or --embedded.");
}
