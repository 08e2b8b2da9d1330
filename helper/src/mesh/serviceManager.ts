/** The host's service manager, as far as the mesh needs it: is there such a unit, start it anew. */
export interface ServiceManager {
  /** Whether a service manager runs this host and knows the unit. Looked at anew at most every minute. */
  hasUnit(unit: string): Promise<boolean>;
  /**
   * Restarts the unit and resolves when the manager says that it runs. `isHung`: what runs is killed first, since it would only be
   * waited for. Throws `Failure` HOST_UNSUPPORTED, DEADLINE_EXCEEDED, or INTERNAL with the manager's words.
   */
  restart(unit: string, isHung: boolean, signal: AbortSignal): Promise<void>;
}
