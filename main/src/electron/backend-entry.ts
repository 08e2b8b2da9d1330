/** Entry of the backend process. Its two arguments come from the shell. */
import { runBackendProcess } from "./backend-process.ts";

const [stateDir, agentSocketPath] = process.argv.slice(2);
if (!process.parentPort || !stateDir || !agentSocketPath) {
  throw new Error("this program is started by the Wardline shell");
}
runBackendProcess(process.parentPort, { stateDir, agentSocketPath }, (code) => process.exit(code));
