/** Where a page cannot be shown, such as when its file cannot be loaded, it says so instead of leaving the screen empty. */
import { Component, type ReactNode, useEffect } from "react";
import { useTexts } from "../i18n";
import { Page, Trouble } from "./basics";

const LOOK_EVERY_MS = 1_000;

export class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  render() {
    return this.state.failed ? <Broken /> : this.props.children;
  }
}

/** A browser may remember that a file was not there: the whole console is loaded anew when the gateway is back. */
function Broken() {
  const { t } = useTexts();
  useEffect(() => {
    let wasAway = false;
    const look = async () => {
      const answer = await fetch("/health").catch(() => null);
      // A gateway that has been there all the time would give the same page again.
      if (answer?.ok && wasAway) location.reload();
      wasAway ||= !answer?.ok;
    };
    void look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <Page title={t("broken")}>
      <Trouble error={t("broken.hint")} retry={() => location.reload()} />
    </Page>
  );
}
