/** Receivers as they are kept: without their secrets. */

export type ReceiverKind =
  | { readonly kind: "desktop" }
  | {
      readonly kind: "email";
      readonly server: string;
      readonly port: number;
      readonly security: "tls" | "starttls" | "none";
      /** Empty = nobody logs in. */
      readonly user: string;
      readonly from: string;
      readonly to: readonly string[];
    }
  | { readonly kind: "webhook"; readonly url: string; readonly allowLocal: boolean }
  | { readonly kind: "alertmanager"; readonly url: string; readonly allowLocal: boolean };

export type KeptReceiver = { readonly name: string } & ReceiverKind;

export type ReceiverOf<Kind extends ReceiverKind["kind"]> = KeptReceiver & { readonly kind: Kind };

/** Where messages go, and as whom: a secret was given for this and nothing else. */
export function destinationOf(receiver: KeptReceiver): string {
  if (receiver.kind === "email")
    return JSON.stringify([receiver.kind, receiver.server, receiver.port, receiver.security, receiver.user]);
  return receiver.kind === "desktop" ? receiver.kind : JSON.stringify([receiver.kind, receiver.url]);
}
