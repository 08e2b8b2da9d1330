import type { NetworkInterface } from "../../linux/network/interfaces.ts";
import type { NftProgram } from "./nftCommand.ts";

export interface NftablesEnforcerConfig {
  /** Absolute path of `nft`, and in tests what enters a network namespace before it. */
  readonly nft: NftProgram;
  /** `wardline` unless given. Agents in different network namespaces may use the same name. */
  readonly tableName?: string;
  /** Path of the network namespace that `nft` works in; `null` (unless given) = that of this process. */
  readonly networkNamespace?: string | null;
  /** Which interfaces lead into containers; those whose other side is a network namespace unless given. */
  readonly isInner?: (entry: NetworkInterface) => boolean;
  /** How often the table and the interfaces are looked at; every second unless given. */
  readonly watchIntervalMs?: number;
  /** Boot clock; injected by tests. */
  readonly bootNs?: () => bigint;
}
