/** The library that writes certificates: 16 MB of memory, so only a node that issues one loads it. */

type Library = typeof import("@peculiar/x509");

let library: Promise<Library> | null = null;

export function loadX509(): Promise<Library> {
  library ??= load();
  return library;
}

async function load(): Promise<Library> {
  // The library's container of services asks for it before anything else.
  await import("reflect-metadata");
  return import("@peculiar/x509");
}
