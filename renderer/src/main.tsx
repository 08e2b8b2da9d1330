import "./ui/global.ts";
import { backendTransport } from "./app/shell-services.ts";
import { startWindow } from "./app/start-window.tsx";

startWindow(backendTransport());
