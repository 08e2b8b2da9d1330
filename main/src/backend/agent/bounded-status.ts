/** The status of a host, fit to be kept and shown. */
import { type Flow, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { type HostStatus, HostStatusSchema } from "@wardline/api/wardline/v1/host";
import { boundMessage } from "./bounded-message.ts";

/** As many as a host may have rules; see the limits of the agent. */
const MAX_COUNTERS = 50_000;
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

/** Changes the given status. A name that no machine can have does not count: the host keeps the one it has here. */
export function boundStatus(status: HostStatus): HostStatus {
  boundMessage(HostStatusSchema, status, { itemsOf: { counters: MAX_COUNTERS } });
  const { info } = status;
  if (info && info.name !== "" && !HOST_NAME.test(info.name)) {
    status.problems.unshift(
      `The agent calls its host "${info.name.slice(0, 60)}", which is no host name; it is not used.`,
    );
    info.name = "";
  }
  return status;
}

/** Changes the given flow. Paths of cgroups and programs can be long. */
export function boundFlow(flow: Flow): Flow {
  return boundMessage(FlowSchema, flow, { maxItems: 100, maxTextLength: 4_096, maxTotalLength: 32_768 });
}
