import type { Roots } from "../../identity/trustBundle.ts";
import type { NodeIdentity } from "../ports.ts";

/** This node's identity as its links need it. `RenewingIdentity` is one. */
export interface LinkIdentity extends NodeIdentity {
  readonly roots: Roots;
  /** Also when the certificate is over: for Renew alone. */
  renewalCredentials(): ReturnType<NodeIdentity["credentials"]>;
}
