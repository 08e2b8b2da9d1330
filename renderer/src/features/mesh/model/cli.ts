/** The same on the command line. Arguments are quoted for a POSIX shell; what cannot be typed safely gives no line. */
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";

/** `null` when it holds something that a line of a shell cannot show as it is. */
export function quoted(text: string): string | null {
  // Control and format characters could hide what is pasted.
  if (text === "" || /\p{C}|\p{Zl}|\p{Zp}/u.test(text)) return null;
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function peerCommand(kind: "add" | "remove", host: string, uri: string, provider: MeshProvider): string | null {
  const [hostText, uriText] = [quoted(host), quoted(uri)];
  if (hostText === null || uriText === null || provider !== MeshProvider.YGGDRASIL) return null;
  return `wardline mesh peer ${kind} ${hostText} ${uriText}`;
}

export function pathCommand(from: string, to: string): string | null {
  const [fromText, toText] = [quoted(from), quoted(to)];
  return fromText === null || toText === null ? null : `wardline mesh path ${fromText} ${toText}`;
}
