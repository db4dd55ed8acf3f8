import { CSPProvider } from "@base-ui/react/csp-provider";
import { Toast } from "@base-ui/react/toast";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { Failure } from "./api/client";
import { App } from "./app";
import { I18n } from "./i18n";
import { toasts } from "./ui/toasts";
import "./styles.css";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // What the gateway refuses, it refuses again; what it does not answer, the next interval asks.
      retry: (failures, error) => failures < 2 && !(error instanceof Failure && error.problem.status < 500),
      retryDelay: 500,
    },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      {/* The gateway's policy allows no <style>. */}
      <CSPProvider disableStyleElements>
        <QueryClientProvider client={client}>
          <I18n>
            <Toast.Provider toastManager={toasts}>
              {/* The paths themselves are the gateway's calls. */}
              <Router hook={useHashLocation}>
                <App />
              </Router>
            </Toast.Provider>
          </I18n>
        </QueryClientProvider>
      </CSPProvider>
    </StrictMode>,
  );
}
