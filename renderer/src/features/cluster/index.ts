/** What other features may use of this one. */
export { clusterNeeds, waitsWithCluster } from "./model/needs.ts";
