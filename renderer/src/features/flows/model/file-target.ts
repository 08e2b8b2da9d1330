/** Where an export goes: a file that the person chose, written piece by piece; or a download where the browser has no such thing. */

export interface FileTarget {
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly close: () => Promise<void>;
  /** What was written so far is not kept. */
  readonly abandon: () => Promise<void>;
}

interface Writable {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

interface Picker {
  showSaveFilePicker?: (options: {
    suggestedName: string;
    types: { accept: Record<string, string[]> }[];
  }) => Promise<{ createWritable(): Promise<Writable> }>;
}

/** Without a file to write to, the parts wait here: browsers put large blobs on the disk. */
export async function openTarget(name: string, type: string): Promise<FileTarget> {
  const { showSaveFilePicker } = window as Picker;
  if (showSaveFilePicker) {
    const extension = name.slice(name.lastIndexOf("."));
    const handle = await showSaveFilePicker({ suggestedName: name, types: [{ accept: { [type]: [extension] } }] });
    const writable = await handle.createWritable();
    return {
      write: (bytes) => writable.write(bytes),
      close: () => writable.close(),
      abandon: () => writable.abort().catch(() => {}),
    };
  }
  let parts: Blob[] = [];
  return {
    write: (bytes) => {
      parts.push(new Blob([bytes as BlobPart]));
      return Promise.resolve();
    },
    close: () => {
      const url = URL.createObjectURL(new Blob(parts, { type }));
      const link = document.createElement("a");
      link.href = url;
      link.download = name;
      link.click();
      // The download has its own hold on it by then.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      return Promise.resolve();
    },
    abandon: () => {
      parts = [];
      return Promise.resolve();
    },
  };
}
