/** Whether the person at this terminal came over SSH: closing the network would end that very session. */

export interface SshSession {
  readonly clientAddress: string;
  readonly serverPort: number;
}

/** From SSH_CONNECTION, which sshd sets (`client port server port`); `null` without it. */
export function sshSession(environment: NodeJS.ProcessEnv = process.env): SshSession | null {
  const [clientAddress = "", , , serverPort = ""] = (environment.SSH_CONNECTION ?? "").split(" ");
  if (!/^[0-9a-fA-F.:]{2,45}(%[\w.-]{1,16})?$/.test(clientAddress) || !/^\d{1,5}$/.test(serverPort)) return null;
  return { clientAddress: clientAddress.replace(/%.*$/, ""), serverPort: Number(serverPort) };
}
