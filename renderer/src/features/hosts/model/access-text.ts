import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { visibleText } from "../../../ui/index.ts";

/** `ops@web-1:2222 via bastion`, made harmless. */
export function accessText(access: HostAccess | undefined): string {
  if (!access) return "";
  const user = access.user === "" ? "" : `${access.user}@`;
  const isIpv6 = access.address.includes(":");
  const address = access.port !== 0 && isIpv6 ? `[${access.address}]` : access.address;
  const port = access.port === 0 ? "" : `:${access.port}`;
  const jump = access.jump === "" ? "" : ` via ${access.jump}`;
  return visibleText(`${user}${address}${port}${jump}`);
}
