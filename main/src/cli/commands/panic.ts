import { toJson } from "@bufbuild/protobuf";
import { Emergency, HostStatusSchema } from "@wardline/api/wardline/v1/host";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { visible } from "../terminal/visible.ts";
import { withAgent } from "./agent.ts";
import type { PanicOptions, PanicState } from "./panic.options.ts";
import { sshSession } from "./ssh-session.ts";

const CALL_TIMEOUT_MS = 10_000;

const EMERGENCIES: Record<PanicState, Emergency> = {
  open: Emergency.OPEN,
  closed: Emergency.CLOSED,
  off: Emergency.NONE,
};

const DONE: Record<PanicState, string> = {
  open: "is open: everything passes and no policy is enforced. To end it: wardline panic off",
  closed: "is closed: nothing passes. To end it, at the machine itself: wardline panic off",
  off: "is back to its policies",
};

/** `wardline panic open|closed|off`: straight to the local socket, which no policy and no brake can close. */
export async function panic(output: Output, options: PanicOptions, state: PanicState): Promise<ExitCode> {
  requireChangesAllowed();
  const ssh = sshSession();
  if (state === "closed" && ssh)
    output.note(`This very session comes over SSH from ${ssh.clientAddress}: it will be cut.`);
  if (state !== "off" && !options.yes && !(await confirmOnTerminal(question(state)))) {
    output.note("Nothing was changed.");
    return EXIT.problems;
  }
  return withAgent(options, async (client) => {
    const request = { emergency: EMERGENCIES[state], reason: options.reason };
    const { status } = await client.setEmergency(request, { timeoutMs: CALL_TIMEOUT_MS });
    if (output.format === "json") output.json({ status: status ? toJson(HostStatusSchema, status) : null });
    else output.text(`${visible(status?.info?.name ?? "This machine")} ${DONE[state]}.\n`);
    return EXIT.done;
  });
}

function question(state: Exclude<PanicState, "off">): string {
  if (state === "open") return "Let everything pass on this machine, whatever the policies say?";
  return "Cut this machine off from every network? Only somebody at the machine itself can undo it.";
}
