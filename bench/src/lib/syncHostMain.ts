/**
 * One host that follows a desired set in etcd: the agent's own foundation, controller, replica and reconciler, without its
 * socket. Writes a line `SET BOOT_NS` the moment a set decides in the kernel, and `kept SET BOOT_NS` when it is kept.
 *
 *     node syncHostMain.ts HOST_NAME DIRECTORY BPFFS_DIR CGROUP_ROOT ENDPOINT[,ENDPOINT…]
 */
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { DesiredHeadSchema, SyncState } from "@wardline/api/wardline/v1/cluster";
import { Closers, controllerPorts, layFoundation } from "@wardline/helper/agent/foundation";
import type { AgentOptions } from "@wardline/helper/agent/options";
import { DesiredReplica } from "@wardline/helper/cluster/desired/desiredReplica";
import { Reconciler } from "@wardline/helper/cluster/desired/reconciler";
import { Keys } from "@wardline/helper/cluster/keys";
import { EtcdStore } from "@wardline/helper/cluster/store/etcdStore";
import { GenerationController } from "@wardline/helper/generations/controller";
import { pino } from "pino";

const [hostName = "", directory = "", bpffsDir = "", cgroupRoot = "", endpointList = ""] = process.argv.slice(2);
const endpoints = endpointList.split(",");
const options: AgentOptions = {
  socketPath: join(directory, "agent.sock"),
  stateDir: join(directory, "state"),
  bpffsDir,
  cgroupRoot,
  hostName,
  backend: "ebpf",
  logLevel: "warn",
  edge: false,
  earlyDrop: [],
  bootFailure: "closed",
};
const log = pino({ level: "warn" }, pino.destination(2));
const closers = new Closers();
const keys = new Keys();

const foundation = await layFoundation(options, { log }, closers);
const { clock, engine } = foundation;
const controller = new GenerationController({
  ...controllerPorts(options, foundation),
  newestConnection: () => 0,
  circumstances: async () => ({ domainAddresses: new Map() }),
});
await controller.start();
closers.add(() => controller.close());

const store = EtcdStore.open({ endpoints, log });
closers.add(() => store.close());
const replica = new DesiredReplica({ store, keys, clock, log });
closers.add(() => replica.close());
const reconciler = new Reconciler({
  store,
  keys,
  replica,
  controller,
  engine,
  clock,
  log,
  hostName,
  stateDir: options.stateDir,
  freshProof: async (signal) => {
    const fresh = EtcdStore.open({ endpoints, log });
    try {
      const { item } = await fresh.get(keys.head, { signal });
      return item && fromJsonString(DesiredHeadSchema, Buffer.from(item.value).toString("utf8"));
    } finally {
      await fresh.close();
    }
  },
  recordAutomatic: () => {},
});
closers.add(() => reconciler.close());

let told = 0;
controller.onChange(() => {
  const { number, reason } = controller.enforced;
  if (number === told) return;
  told = number;
  const setNumber = /^set (\d+) /.exec(reason)?.[1];
  if (setNumber !== undefined) process.stdout.write(`${setNumber} ${clock.bootNs()}\n`);
});
reconciler.onChange(() => {
  const { state, activeSetNumber } = reconciler.report;
  if (state === SyncState.ACTIVE) process.stdout.write(`kept ${activeSetNumber} ${clock.bootNs()}\n`);
  else if (state === SyncState.REFUSED) process.stderr.write(`${JSON.stringify(reconciler.report.problem?.message)}\n`);
});
replica.start();
await reconciler.start();
process.stdout.write("ready 0\n");
process.once("SIGTERM", () => void closers.close().then(() => process.exit(0)));
