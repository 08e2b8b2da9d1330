/**
 * A disk that takes files and refuses to make names stay, as a dying one does. The real calls run and then report EIO: no file
 * system that a test may mount does this on request.
 */
import fs from "node:fs";
import { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

function refusal(): Error {
  return Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO" });
}

/** @param refuses asked at each sync of a directory, by its inode */
export async function refuseDirectorySyncs(refuses: (inode: number) => boolean): Promise<() => void> {
  const handle = await open(process.execPath, "r");
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const { sync } = prototype;
  const { fsyncSync } = fs;
  prototype.sync = async function (this: typeof handle) {
    await sync.call(this);
    const stat = await this.stat();
    if (stat.isDirectory() && refuses(stat.ino)) throw refusal();
  };
  fs.fsyncSync = (descriptor) => {
    fsyncSync(descriptor);
    const stat = fs.fstatSync(descriptor);
    if (stat.isDirectory() && refuses(stat.ino)) throw refusal();
  };
  syncBuiltinESMExports();
  return () => {
    prototype.sync = sync;
    fs.fsyncSync = fsyncSync;
    syncBuiltinESMExports();
  };
}
