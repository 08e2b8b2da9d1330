/**
 * Imported between two parts of the window: what stands after it is evaluated in a task of its own, so that the browser can
 * draw and answer in between.
 */
await new Promise<void>((resolve) => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    channel.port1.close();
    resolve();
  };
  channel.port2.postMessage(null);
});

export {};
