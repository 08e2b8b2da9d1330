/** What is wrong with a receiver, with the place of each problem in it. */
import { NAME_SYNTAX, type RuleProblem } from "@wardline/domain/alerts";
import { Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";
import { readUrl } from "./delivery/destination.ts";
import { isMailAddress } from "./delivery/email.ts";
import type { KeptReceiver, ReceiverOf } from "./receivers.ts";

const MOST_RECIPIENTS = 50;
const SERVER = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^[0-9a-fA-F:]{2,45}$/;

/** Names are looked up at each message; here only what is written is judged. */
export function receiverProblems(receiver: KeptReceiver, allowedUrls: readonly string[]): RuleProblem[] {
  const problems: RuleProblem[] = [];
  if (!NAME_SYNTAX.test(receiver.name)) {
    problems.push({
      path: ["name"],
      message: "The name of a receiver has letters, digits and `-` between them, up to 63 characters.",
    });
  }
  if (receiver.kind === "email") problems.push(...emailProblems(receiver));
  if (receiver.kind === "webhook" || receiver.kind === "alertmanager") {
    const message = urlProblem(receiver.url, receiver.allowLocal, allowedUrls);
    if (message) problems.push({ path: [receiver.kind, "url"], message });
  }
  return problems;
}

export function urlProblem(url: string, allowLocal: boolean, allowedUrls: readonly string[]): string | null {
  try {
    readUrl(url, { allowLocal, allowedUrls });
    return null;
  } catch (error) {
    if (error instanceof Failure) return [error.message, error.hint].filter((part) => part !== "").join(" ");
    throw error;
  }
}

function emailProblems({ server, port, user, from, to }: ReceiverOf<"email">): RuleProblem[] {
  const problems: RuleProblem[] = [];
  const say = (key: string, message: string, ...rest: number[]) =>
    problems.push({ path: ["email", key, ...rest], message });
  if (!SERVER.test(server)) say("server", "The server is a name or an address, without port.");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) say("port", "The port is a number from 1 to 65535.");
  if (user.length > 320 || hasInvisible(user)) say("user", "The user has characters that no login has, or too many.");
  if (!isMailAddress(from)) say("from", "The sender is one address, such as wardline@example.com.");
  if (to.length === 0) say("to", "There is nobody to write to.");
  if (to.length > MOST_RECIPIENTS) say("to", `There are more than ${MOST_RECIPIENTS} recipients.`);
  for (const [index, address] of to.slice(0, MOST_RECIPIENTS).entries()) {
    if (!isMailAddress(address)) say("to", "Each recipient is one address, without a name beside it.", index);
  }
  return problems;
}
