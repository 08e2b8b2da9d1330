import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe } from "vitest";
import { storeContract } from "../../testing/clusterStoreContract.ts";
import { EmbeddedStore } from "./embeddedStore.ts";

const log = pino({ level: "silent" });

describe("the embedded store", () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-store-"));
  let store: EmbeddedStore;
  beforeAll(() => {
    store = EmbeddedStore.open({ path: join(directory, "cluster.db"), log });
  });
  afterAll(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });

  storeContract({ store: () => store, open: null, histories: 60 });
});
