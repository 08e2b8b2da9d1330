import type { Transport } from "@connectrpc/connect";
import { TransportProvider } from "@connectrpc/connect-query";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode, startTransition } from "react";
import { createRoot } from "react-dom/client";
import { ConsoleProvider } from "../data/context.tsx";
import { PartBoundary } from "../ui/index.ts";
import { Accessibility } from "./accessibility.tsx";
import { App } from "./app.tsx";
import { createServices } from "./shell-services.ts";

/** Puts the window on the page, over any transport (the real backend, or its double in tests). */
export function startWindow(transport: Transport): ReturnType<typeof createServices> {
  const services = createServices(transport);
  const queryClient = new QueryClient({
    defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false, staleTime: 5_000 } },
  });
  const root = document.getElementById("root");
  if (!root) throw new Error("The page has no #root.");
  // In slices: the first drawing of the whole frame at once would keep the browser from everything else.
  startTransition(() => {
    createRoot(root).render(
      <StrictMode>
        <QueryClientProvider client={queryClient}>
          <TransportProvider transport={transport}>
            <ConsoleProvider services={services}>
              <Accessibility />
              <PartBoundary name="The window">
                <App />
              </PartBoundary>
            </ConsoleProvider>
          </TransportProvider>
        </QueryClientProvider>
      </StrictMode>,
    );
  });
  return services;
}
