import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright";

const usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

function executable(): string {
  const asked = process.env.CHROMIUM_PATH;
  const found = asked === undefined ? usual.find((path) => existsSync(path)) : asked;
  if (found === undefined || !existsSync(found)) {
    throw new Error(
      `The browser tests need Chromium: ${found === undefined ? `none of ${usual.join(", ")} is there` : `CHROMIUM_PATH names ${found}, which is not there`}. ` +
        "Install it (Debian and Ubuntu: apt-get install chromium) or set CHROMIUM_PATH to a Chromium or Chrome.",
    );
  }
  return found;
}

/** Starts the machine's Chromium without its own traffic to the network. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: executable(),
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-sync",
      "--disable-component-update",
    ],
  });
}
