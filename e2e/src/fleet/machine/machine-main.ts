/**
 * The first process of a test machine. It manages the machine's services until its standard input ends: whoever started
 * the machine holds the other end, so a machine never outlives its owner, however that one dies.
 */
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { type Order, ServiceManager } from "./service-manager.ts";

/** `systemctl` asks here. */
const SOCKET_PATH = "/run/systemd/machine.sock";
const MAX_ORDER_BYTES = 64 * 1024;
const [expectedCgroup = ""] = process.argv.slice(2);

/** The last guard before anything is attached: the cgroup root of this machine must be the subtree that was made for it. */
function checkControlGroup(): void {
  const found = statSync("/sys/fs/cgroup", { bigint: true }).ino;
  if (String(found) !== expectedCgroup)
    throw new Error(`the control group of this machine is ${found}, not ${expectedCgroup}`);
}

/** Everything in the subtree, this process with it. */
function endMachine(): void {
  try {
    writeFileSync("/sys/fs/cgroup/cgroup.kill", "1");
  } catch {
    process.exit(1);
  }
}

checkControlGroup();
process.on("SIGINT", () => {});
process.stdin.resume().on("end", endMachine).on("error", endMachine);

const manager = new ServiceManager();
const server = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  let size = 0;
  socket.on("data", (chunk) => {
    size += chunk.length;
    if (size > MAX_ORDER_BYTES) socket.destroy();
  });
  createInterface({ input: socket }).once("line", (line) => {
    void manager
      .carryOut(JSON.parse(line) as Order)
      .catch((error: unknown) => ({ exitCode: 1, stdout: "", stderr: `${error}\n` }))
      .then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
  });
});
server.listen(SOCKET_PATH, () => {
  chmodSync(SOCKET_PATH, 0o666);
  void manager.boot().then(() => process.stdout.write("ready\n"));
  // This process ends by a signal, and would never write it.
  flushCompileCache();
});
