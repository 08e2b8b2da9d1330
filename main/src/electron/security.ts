/** What the page may not do, whatever runs in it. */

import type { Logger } from "../backend/ports.ts";
import type { SessionPart, WebContentsPart } from "./electron-modules.ts";
import { CHANNELS } from "./shell-channels.ts";

export const APP_SCHEME = "app";
export const APP_ORIGIN = "app://wardline";

const KNOWN_CHANNELS: ReadonlySet<string> = new Set(Object.values(CHANNELS));

/** Pages outside that a person may be sent to, in their own browser. */
const OUTSIDE_HOSTS: ReadonlySet<string> = new Set(["kubernetes.io", "network-policy-api.sigs.k8s.io"]);

export function isOwnUrl(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed?.protocol === `${APP_SCHEME}:` && parsed.host === "wardline";
}

/** Only https, and only hosts of the list: a link in a policy must not start another program. */
export function mayOpenOutside(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed?.protocol === "https:" && !parsed.username && !parsed.port && OUTSIDE_HOSTS.has(parsed.hostname);
}

/** What our own page has made and hands over to be saved: the system asks where. */
const OWN_BLOB = `blob:${APP_ORIGIN}/`;
/** Text into the clipboard after a click of the person, for "Copy". Reading it is another permission. */
const OWN_PERMISSION = "clipboard-sanitized-write";

/** No device, no permission but to copy, no download but of what the page made, and no request to anything but ourselves. */
export function hardenSession(session: SessionPart, logger: Logger): void {
  session.setPermissionRequestHandler((contents, permission, callback) => {
    if (permission === OWN_PERMISSION && isOwnUrl(contents?.getURL() ?? "")) return callback(true);
    logger.warn({ permission }, "permission refused");
    callback(false);
  });
  session.setPermissionCheckHandler(
    (_contents, permission, origin) => permission === OWN_PERMISSION && isOwnUrl(origin),
  );
  session.setDevicePermissionHandler(() => false);
  session.on("will-download", (event, item) => {
    if (!item?.getURL().startsWith(OWN_BLOB)) event.preventDefault();
  });
  session.webRequest.onBeforeRequest((details, callback) => {
    const allowed = isOwnUrl(details.url) || details.url.startsWith(OWN_BLOB) || details.url.startsWith("devtools:");
    if (!allowed) logger.warn({ scheme: URL.parse(details.url)?.protocol }, "request of the page refused");
    callback({ cancel: !allowed });
  });
}

/** Stays on our page: no navigation, no window, no webview. */
export function hardenContents(contents: WebContentsPart, openOutside: (url: string) => void, logger: Logger): void {
  const stay = (event: { readonly url: string; preventDefault(): void }) => {
    if (isOwnUrl(event.url)) return;
    event.preventDefault();
    logger.warn({ scheme: URL.parse(event.url)?.protocol }, "navigation refused");
  };
  contents.on("will-navigate", stay);
  contents.on("will-frame-navigate", stay);
  contents.on("will-redirect", stay);
  contents.on("will-attach-webview", (event) => event.preventDefault());
  contents.on("ipc-message", (_event, channel) => {
    if (!KNOWN_CHANNELS.has(channel)) logger.warn({ channel: channel.slice(0, 100) }, "message on an unknown channel");
  });
  contents.setWindowOpenHandler(({ url }) => {
    if (mayOpenOutside(url)) openOutside(url);
    return { action: "deny" };
  });
}
