/** Whose a path on a machine is, asked over SFTP: no command, and nothing that a login shell could change. */
import type { SFTPWrapper } from "ssh2";
import type { RemoteOwner } from "../ssh-session.ts";
import type { UploadContext } from "./files.ts";

const LIMIT_MS = 10_000;

/** `null` where there is no answer. */
export async function remoteOwner(
  sftp: SFTPWrapper,
  path: string,
  context: Pick<UploadContext, "ended">,
): Promise<RemoteOwner | null> {
  try {
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), LIMIT_MS);
      const settle = (owner: RemoteOwner | null) => {
        clearTimeout(timer);
        context.ended.removeEventListener("abort", lose);
        resolve(owner);
      };
      const lose = () => settle(null);
      context.ended.addEventListener("abort", lose, { once: true });
      sftp.lstat(path, (error, status) => settle(error ? null : { userId: status.uid, mode: status.mode & 0o7777 }));
    });
  } finally {
    sftp.end();
  }
}
