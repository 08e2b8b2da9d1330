import type { SecretsPort } from "../backend/ports.ts";
import type { ElectronModules } from "./electron-modules.ts";

/** Secrets through the desktop's keyring. The synchronous calls disappear in the next Electron and are not used. */
export function createSecrets(safeStorage: ElectronModules["safeStorage"], platform: NodeJS.Platform): SecretsPort {
  const requireKeyring = async () => {
    if (!(await safeStorage.isAsyncEncryptionAvailable())) throw new Error("the desktop offers no keyring");
  };
  return {
    async protection() {
      if (!(await safeStorage.isAsyncEncryptionAvailable())) return "none";
      // Without a keyring, Linux would write the secret as good as readable: the person decides.
      return platform === "linux" && safeStorage.getSelectedStorageBackend() === "basic_text" ? "plain" : "keyring";
    },
    async encrypt(text) {
      await requireKeyring();
      return safeStorage.encryptStringAsync(text);
    },
    async decrypt(sealed) {
      await requireKeyring();
      return (await safeStorage.decryptStringAsync(Buffer.from(sealed))).result;
    },
  };
}
