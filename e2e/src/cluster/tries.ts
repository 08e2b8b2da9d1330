/**
 * What the tests of a suite share and break: made before the first of them, and made anew for the second try of one that
 * failed (`retry` of the suite). Whatever the first try left behind, running, written, cut or remembered, is gone with the machines that it was on.
 */
import { afterAll, beforeEach } from "vitest";
import { ClusterFleet } from "./cluster-fleet.ts";

/** Of making all machines once, and of ending those before. */
const MAKING_LIMIT_MS = 600_000;
const CLOSING_LIMIT_MS = 60_000;

export interface Shared<Made> {
  /** When it rejects, nothing is left. */
  readonly make: () => Promise<Made>;
  /** Before each try, also the first: keeps it for the test, and mends what a test before it left behind. */
  readonly begin: (made: Made) => Promise<void>;
  /** Resolves when all of it has ended; what still waits for something of it fails. */
  readonly close: (made: Made) => Promise<void>;
}

/** To be called once, directly in the `describe`. */
export function shareBetweenTests<Made>({ make, begin, close }: Shared<Made>): void {
  let making: Promise<Made> | null = null;

  async function end(): Promise<void> {
    const before = making;
    making = null;
    // One that could not be made has told so, and left nothing.
    const made = await before?.then(
      (value) => ({ value }),
      () => null,
    );
    if (made) await close(made.value);
  }

  beforeEach(async ({ task }) => {
    if ((task.result?.retryCount ?? 0) > 0) await end();
    making ??= make();
    await begin(await making);
  }, MAKING_LIMIT_MS);
  afterAll(end, CLOSING_LIMIT_MS);
}

/** The same for a cluster with its base policies, whole again before each try. `use` gets it then. */
export function shareCluster(
  use: (cluster: ClusterFleet) => void,
  options?: Parameters<typeof ClusterFleet.start>[0],
): void {
  shareBetweenTests({
    make: async () => {
      const made = await ClusterFleet.start(options);
      await made.writeBase();
      return made;
    },
    begin: (made) => {
      use(made);
      return made.heal();
    },
    close: (made) => made.close(),
  });
}
