import type { ServiceImpl } from "@connectrpc/connect";
import type * as wire from "@wardline/api/wardline/console/v1/verdicts";
import { ThreadPool } from "../../async/thread-pool.ts";
import type { Guard } from "../../rpc/guard.ts";
import { explainVerdict } from "./explain-verdict.ts";
import { findSuggestions, type SuggestionPorts } from "./find-suggestions.ts";
import { listVerdicts, type VerdictPorts } from "./list-verdicts.ts";

export interface VerdictServicePorts extends VerdictPorts, SuggestionPorts {
  readonly workspace: VerdictPorts["workspace"];
}

/** What would change, and how that compares with what is: see docs/user-guide.md, "Verdicts". */
export class VerdictServiceImpl {
  readonly #ports: VerdictServicePorts;
  readonly #threads = new ThreadPool({
    ...{ file: new URL("./verdict-thread.ts", import.meta.url), what: "comparisons" },
    waiting: 8,
  });

  constructor(ports: VerdictServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.VerdictService> {
    return {
      listVerdicts: guard.stream((request: wire.ListVerdictsRequest, signal) => this.list(request, signal)),
      explainVerdict: guard.unary((request: wire.ExplainVerdictRequest, signal) => this.explain(request, signal)),
      findSuggestions: guard.stream((request: wire.FindSuggestionsRequest, signal) =>
        findSuggestions(this.#ports, request, signal),
      ),
    };
  }

  list(request: wire.ListVerdictsRequest, signal: AbortSignal): AsyncGenerator<wire.ListVerdictsResponse> {
    return listVerdicts(this.#ports, this.#threads, request, signal);
  }

  explain(request: wire.ExplainVerdictRequest, signal: AbortSignal): Promise<wire.ExplainVerdictResponse> {
    return this.#threads.use(signal, (thread) => explainVerdict(this.#ports, request, thread));
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}
