/** Keeps the table's set with the overlay's interface as it was told, also when the table was made anew. */
import { NFTABLES_OVERLAY_SET } from "@wardline/domain/policy/emit";
import type { OverlayInterface } from "../enforcer.ts";
import { nameOfInterface, PLAIN_NAME } from "./containerInterfaces.ts";
import type { OwnTable } from "./ownTable.ts";

/** The name that the table holds; `null` = none, or no table of ours. */
export function heldOverlay(table: OwnTable): { readonly name: string } | null {
  if (!table.isOpen || table.owner() !== "agent" || !table.reader.sets().includes(NFTABLES_OVERLAY_SET)) return null;
  const [first] = table.reader.elements(NFTABLES_OVERLAY_SET);
  return first === undefined ? null : { name: nameOfInterface(first.key) };
}

export class OverlayName {
  /** `undefined` = nobody has said: what an agent before this one left stays. */
  #wanted: string | null | undefined;

  /** nft knows interfaces by name: one that is made anew under the same name is the same to it. */
  set(table: OwnTable, overlay: OverlayInterface | null): void {
    this.#wanted = overlay !== null && PLAIN_NAME.test(overlay.name) ? overlay.name : null;
    this.refresh(table);
  }

  refresh(table: OwnTable): void {
    if (this.#wanted === undefined || !table.isOpen || table.owner() !== "agent") return;
    if ((heldOverlay(table)?.name ?? null) === this.#wanted) return;
    table.nft.applyNow(table.scripts.setOverlay(this.#wanted === null ? [] : [this.#wanted]));
  }
}
