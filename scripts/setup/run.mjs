// Runs one command with its output in a log file; the last lines of it are shown when the command fails.
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

const HEARTBEAT_MS = 10_000;
const SHOWN_LINES = 25;

/**
 * @param {{ command: string, args: string[], cwd: string, env?: NodeJS.ProcessEnv, logPath: string, label: string }} job
 * @returns {Promise<{ ok: boolean, reason: string, tail: string[] }>} `reason` says how it ended when it was not well.
 */
export async function runLogged({ command, args, cwd, env = process.env, logPath, label }) {
  mkdirSync(dirname(logPath), { recursive: true });
  const log = openSync(logPath, "w");
  const startedAt = Date.now();
  const heartbeat = setInterval(() => {
    console.log(`        ${label} … ${Math.round((Date.now() - startedAt) / 1000)} s`);
  }, HEARTBEAT_MS);
  try {
    const reason = await new Promise((resolve) => {
      const child = spawn(command, args, { cwd, env, stdio: ["ignore", log, log] });
      child.on("error", (error) => resolve(`${command} could not be started: ${error.message}`));
      child.on("exit", (code, signal) => {
        if (code === 0) resolve("");
        else resolve(signal ? `${command} was ended by ${signal}` : `${command} ended with exit code ${code}`);
      });
    });
    return { ok: reason === "", reason, tail: reason === "" ? [] : lastLines(logPath) };
  } finally {
    clearInterval(heartbeat);
    closeSync(log);
  }
}

function lastLines(path) {
  const lines = readFileSync(path, "utf8").split("\n");
  while (lines.length > 0 && lines[lines.length - 1].trim() === "") lines.pop();
  return lines.slice(-SHOWN_LINES);
}
