/** What pf cannot do, one sentence each, as the status of a host shows it. */
export const PF_LIMITS: readonly string[] = [
  "This backend is proved against the documentation of pf and a model of pfctl; it has never run on a Mac.",
  "A change that waits for its confirmation is taken back by the agent, not by pf: if the agent is killed, that happens when launchd has started it again.",
  "pf knows no processes: a workload that is treated otherwise than its host is refused.",
  "pf ends connections by pairs of hosts: when one is no longer allowed, others that the same host opened to the same host are interrupted with it.",
  "Single flows and their processes are not reported; packets and bytes are counted for each rule.",
  "In observe mode what would be denied is passed, logged by pf and counted for the rule that would deny it.",
  "pf is not told which interface the mesh's is: an address in 200::/7 counts as a node's on whatever interface it comes.",
  "Rules of others in pf that end the evaluation before Wardline's anchor is called decide first.",
];
