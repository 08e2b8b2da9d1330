/** What other features may use of this one. */
export { PendingCard } from "./components/pending-card.tsx";
export { PendingEndNotice } from "./components/pending-end-notice.tsx";
export { ReceiptList } from "./components/receipt-list.tsx";
export { useShip } from "./model/ship-store.ts";
