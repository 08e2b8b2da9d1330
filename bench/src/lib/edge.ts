/** How an enforcer is told about a lab: its network namespace is not the one of this process, as it is in production. */

import { networkNamespaceCookie } from "@wardline/helper/enforce/ebpf/connect/localAddresses";
import type { EbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import { bootTimeNs } from "@wardline/helper/linux/bootClock";
import { inNetworkNamespace } from "@wardline/helper/linux/network/namespace";
import { HOST_ADDRESS, type KernelLab } from "@wardline/helper/testing/kernelLab";

export const EDGE_NAME = "wardline + edge";

/** Everything that an enforcer is configured with. */
export type EbpfEnforcerConfig = ConstructorParameters<typeof EbpfEnforcer>[0];
type LabOptions = Pick<EbpfEnforcerConfig, "vouching" | "networkNamespace" | "edge">;

/** Lets the connect hooks refuse early in the lab's guarded namespace, as they do in the agent's own. */
export function labOptions(lab: KernelLab): LabOptions {
  const cookie = inNetworkNamespace(lab.hostNamespace, networkNamespaceCookie);
  return {
    vouching: {
      cookie: () => cookie,
      readAddresses: () => ({ addresses: [HOST_ADDRESS[4], HOST_ADDRESS[6]], isComplete: true }),
      mayTranslate: async () => false,
      bootNs: bootTimeNs,
    },
  };
}

/** The same with the hook that sees packets without a socket here: closed ports, inbound ICMP, forwarded traffic. */
export function edgeOptions(lab: KernelLab): LabOptions {
  // The other end of a lab's cable is in another namespace, as a container's would be.
  return { ...labOptions(lab), networkNamespace: lab.hostNamespace, edge: { isInner: () => false } };
}
