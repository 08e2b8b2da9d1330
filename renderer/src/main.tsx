import "./ui/global.ts";
import { backendTransport } from "./app/shell-services.ts";
// The contract with the backend is one half of what there is to evaluate, everything that draws the other.
import "./app/give-way.ts";
import { startWindow } from "./app/start-window.tsx";

startWindow(backendTransport());
