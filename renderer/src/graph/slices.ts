/** Long work in short pieces, so that keys and pointer are always heard in between. */
const SLICE_MS = 8;

/** Runs the steps of `work` in slices until it ends or `isStopped` says so. Resolves to whether it ended by itself. */
export async function runInSlices(work: Iterator<void>, isStopped: () => boolean): Promise<boolean> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    while (performance.now() < until) {
      if (isStopped()) return false;
      if (work.next().done === true) return true;
    }
    await nextTurn();
  }
}

/** After what waits in the window: input, drawing. Timers would wait 4 ms each. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
