import { pino } from "pino";
import { afterAll, beforeAll, describe } from "vitest";
import { storeContract } from "../../testing/clusterStoreContract.ts";
import { EtcdLab, etcdProblem } from "../../testing/etcdLab.ts";
import { EtcdStore } from "./etcdStore.ts";

const log = pino({ level: "silent" });
const problem = etcdProblem();

for (const [members, histories] of [
  [1, 20],
  [3, 8],
] as const) {
  describe.skipIf(problem !== null)(`etcd of ${members}${problem ? ` (${problem})` : ""}`, () => {
    let lab: EtcdLab;
    let store: EtcdStore;
    beforeAll(async () => {
      lab = await EtcdLab.start({ members });
      store = EtcdStore.open({ endpoints: lab.endpoints, log });
    });
    afterAll(async () => {
      await store?.close();
      await lab?.close();
    });

    storeContract({
      store: () => store,
      open: () => EtcdStore.open({ endpoints: lab.endpoints, log }),
      histories,
    });
  });
}
