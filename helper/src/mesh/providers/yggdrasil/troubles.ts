/** What each way of not answering means: for the report of the host, and for who asked for something. */
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AdminError } from "./adminSocket.ts";

export interface Trouble {
  readonly state: MeshProviderState;
  readonly sentence: string;
  /** Starting it anew would not change it. */
  readonly neverRestart?: boolean;
}

export function troubleOf(error: AdminError, place: string): Trouble & { readonly failure: Failure } {
  const trouble = describe(error, place);
  if (error.problem !== "refusal") return { ...trouble, failure: refusedEdit(trouble.state, trouble.sentence) };
  return { ...trouble, failure: refusalOf(error.message) };
}

function describe({ problem, message }: AdminError, place: string): Trouble {
  switch (problem) {
    case "missing":
      return { state: MeshProviderState.DOWN, sentence: `It does not run: its admin socket ${place} is not there.` };
    case "refused":
      return {
        state: MeshProviderState.DOWN,
        sentence: `It does not run: nobody listens on its admin socket ${place}, which an earlier end left behind.`,
      };
    case "denied":
      return {
        state: MeshProviderState.UNRESPONSIVE,
        sentence: `The agent may not open its admin socket ${place}: it needs the group of that file (SupplementaryGroups= of its unit).`,
        neverRestart: true,
      };
    case "silent":
      return {
        state: MeshProviderState.UNRESPONSIVE,
        sentence: `It takes connections on its admin socket ${place} and does not answer in time.`,
      };
    case "refusal":
      return {
        state: MeshProviderState.UNSUPPORTED,
        sentence: `It refuses what every known release answers: ${message}.`,
      };
    default:
      return {
        state: MeshProviderState.UNSUPPORTED,
        sentence: `What answers on ${place} is no daemon that is known: ${message}.`,
      };
  }
}

/** For a change that could not even be asked for. */
export function refusedEdit(state: MeshProviderState, sentence: string): Failure {
  if (state === MeshProviderState.UNRESPONSIVE) {
    return new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message: `Yggdrasil: ${sentence}`, retryable: true });
  }
  if (state === MeshProviderState.UNSUPPORTED) {
    return new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message: `Yggdrasil: ${sentence}` });
  }
  const hint = "Start it on the host, then try again.";
  return new Failure({ code: ErrorCode.NOT_FOUND, message: `Yggdrasil: ${sentence}`, hint, retryable: true });
}

/** It understood, and said no. Texts differ in case between releases. */
function refusalOf(said: string): Failure {
  if (/already/i.test(said)) {
    return new Failure({ code: ErrorCode.ALREADY_EXISTS, message: "Yggdrasil has this peer already." });
  }
  if (/not configured|not found|no such/i.test(said)) {
    const hint = "Name it as it is listed, with the interface through which it is dialled.";
    return new Failure({ code: ErrorCode.NOT_FOUND, message: "Yggdrasil has no such peer.", hint });
  }
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `Yggdrasil refused it: ${said}.` });
}
