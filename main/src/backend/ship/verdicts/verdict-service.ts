import type { ServiceImpl } from "@connectrpc/connect";
import type * as wire from "@wardline/api/wardline/console/v1/verdicts";
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

  constructor(ports: VerdictServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.VerdictService> {
    return {
      listVerdicts: guard.stream((request: wire.ListVerdictsRequest, signal) => this.list(request, signal)),
      explainVerdict: guard.unary((request: wire.ExplainVerdictRequest) => explainVerdict(this.#ports, request)),
      findSuggestions: guard.stream((request: wire.FindSuggestionsRequest, signal) =>
        findSuggestions(this.#ports, request, signal),
      ),
    };
  }

  list(request: wire.ListVerdictsRequest, signal: AbortSignal): AsyncGenerator<wire.ListVerdictsResponse> {
    return listVerdicts(this.#ports, request, signal);
  }
}
