/** `systemctl` and `journalctl` of a test machine: read the command line, ask the machine's first process, say its answer. */
import { connect } from "node:net";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { type Answer, lastLines, type Order } from "./service-manager.ts";

const SOCKET_PATH = "/run/systemd/machine.sock";
const VERSION = "systemd 252 (252-wardline-test-machine)\n";
/** Verbs that anybody may use. */
const READING = ["is-active", "is-failed", "is-enabled", "is-system-running", "show", "status", "cat"];

const [self = "systemctl", ...line] = process.argv.slice(2);

function ask(order: Order): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(SOCKET_PATH, () => socket.write(`${JSON.stringify(order)}\n`));
    socket.once("error", reject);
    createInterface({ input: socket }).once("line", (text) => resolve(JSON.parse(text) as Answer));
  });
}

async function systemctl(): Promise<Answer> {
  const { values, positionals } = parseArgs({
    args: line,
    allowPositionals: true,
    options: {
      now: { type: "boolean" },
      quiet: { type: "boolean", short: "q" },
      system: { type: "boolean" },
      value: { type: "boolean" },
      version: { type: "boolean" },
      full: { type: "boolean", short: "l" },
      "no-pager": { type: "boolean" },
      "no-ask-password": { type: "boolean" },
      "no-block": { type: "boolean" },
      "no-legend": { type: "boolean" },
      plain: { type: "boolean" },
      signal: { type: "string", short: "s" },
      "kill-who": { type: "string" },
      "kill-whom": { type: "string" },
      property: { type: "string", short: "p", multiple: true },
      lines: { type: "string", short: "n" },
    },
  });
  if (values.version) return { exitCode: 0, stdout: VERSION, stderr: "" };
  const [verb = "list-units", ...units] = positionals;
  if (process.geteuid?.() !== 0 && !READING.includes(verb)) {
    const what = units.length > 0 ? ` ${units[0]}` : "";
    return { exitCode: 1, stdout: "", stderr: `Failed to ${verb}${what}: Interactive authentication required.\n` };
  }
  const properties = (values.property ?? []).flatMap((list) => list.split(","));
  const signal = values.signal === undefined ? {} : { signal: values.signal.replace(/^(SIG)?/, "SIG") };
  const order = { verb, units, now: values.now ?? false, properties, valuesOnly: values.value ?? false, ...signal };
  const answer = await ask(order);
  return values.quiet ? { ...answer, stdout: "" } : answer;
}

function journalctl(): Answer {
  const { values } = parseArgs({
    args: line,
    strict: false,
    options: { unit: { type: "string", short: "u" }, lines: { type: "string", short: "n" } },
  });
  const unit = String(values.unit ?? "");
  const name = /\.[a-z]+$/.test(unit) ? unit : `${unit}.service`;
  return { exitCode: 0, stdout: `${lastLines(basename(name), Number(values.lines ?? 10))}\n`, stderr: "" };
}

try {
  const { exitCode, stdout, stderr } = self === "journalctl" ? journalctl() : await systemctl();
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode;
} catch (error) {
  process.stderr.write(`${self}: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
