/**
 * The traffic of one attack, on the machine that it comes from: `attack-traffic-main.ts NAME SECONDS ADDRESS...`. It takes
 * the attack's name for its own, which is what agents and people see of a process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { BEACON_EVERY_MS, LOGINS, SCAN_PORTS, UPLOAD_BYTES } from "./attacks.ts";

const TRY_LIMIT_MS = 1_500;
const CHUNK_BYTES = 1_000_000;
/** The first ones are those of services; 80 and below, then every one from 1000. */
const portAt = (index: number): number => (index < 80 ? index + 1 : 920 + index);

const [, , name = "", secondsText = "", ...addresses] = process.argv;
const seconds = Number(secondsText);
const [address = ""] = addresses;

/** Opens a connection and closes it: what comes of it does not matter. */
function tryPort(host: string, port: number): void {
  const socket = connect({ host, port });
  const end = () => socket.destroy();
  socket.setTimeout(TRY_LIMIT_MS, end).on("error", end).once("connect", end);
}

/** At their moments, also when one of them was late. */
async function each(count: number, everyMs: number, act: (index: number) => void): Promise<void> {
  const startedAtMs = performance.now();
  for (let index = 0; index < count; index++) {
    await setTimeout(Math.max(0, startedAtMs + index * everyMs - performance.now()));
    act(index);
  }
}

function ask(options: object): ClientRequest {
  const asked = request({ host: address, agent: false, timeout: 5_000, ...options });
  return asked.on("response", (response) => response.resume()).on("error", () => {});
}

/** Resolves when there is room again, or nobody to send to. */
async function drained(asked: ClientRequest): Promise<void> {
  const seen = new AbortController();
  const { signal } = seen;
  await Promise.race([once(asked, "drain", { signal }), once(asked, "close", { signal })]);
  seen.abort();
}

async function upload(): Promise<void> {
  const asked = ask({ port: 443, method: "POST", path: "/upload" });
  const chunk = Buffer.alloc(CHUNK_BYTES, 0x2e);
  const chunks = UPLOAD_BYTES / CHUNK_BYTES;
  for (let sent = 0; sent < chunks && !asked.destroyed; sent++) {
    if (!asked.write(chunk)) await drained(asked);
    await setTimeout((seconds * 1000) / chunks);
  }
  asked.end();
}

/** A session as far as the exchange of keys; nobody is let in by no method at all. */
async function login(host: string): Promise<void> {
  const options = ["BatchMode=yes", "PreferredAuthentications=none", "StrictHostKeyChecking=no", "ConnectTimeout=3"];
  const files = ["-F", "/dev/null", "-o", "UserKnownHostsFile=/dev/null"];
  const words = [...files, ...options.flatMap((option) => ["-o", option]), `nobody@${host}`, "true"];
  await once(spawn("/usr/bin/ssh", words, { stdio: "ignore" }), "exit");
}

// The kernel keeps 15 characters of it.
process.title = name === "exfiltration" ? "demo-upload" : `demo-${name}`;
if (name === "scan") await each(SCAN_PORTS, (seconds * 1000) / SCAN_PORTS, (index) => tryPort(address, portAt(index)));
else if (name === "beacon")
  await each(Math.floor((seconds * 1000) / BEACON_EVERY_MS) + 1, BEACON_EVERY_MS, () =>
    ask({ port: 80, path: "/tasks" }).end(),
  );
else if (name === "exfiltration") await upload();
else if (name === "brute-force") await each(LOGINS, (seconds * 1000) / LOGINS, () => void login(address));
else if (name === "lateral") for (const each of addresses) await login(each);
else throw new Error(`no attack ${name}`);
