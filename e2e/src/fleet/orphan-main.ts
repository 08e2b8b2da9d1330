/** Starts a fleet and says so, for the test that kills its owner. */
import { Fleet } from "./fleet.ts";

const fleet = await Fleet.start({ hosts: [{ name: "web-1", agent: "stopped" }] });
console.log(JSON.stringify({ directory: fleet.directory, pid: fleet.host("web-1").pid }));
setInterval(() => {}, 60_000);
