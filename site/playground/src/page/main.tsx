/** The program of the page. */
import { render } from "preact";
import { App } from "./app.tsx";
import { Client } from "./client.ts";

const at = document.querySelector("#app");
if (at !== null) render(<App client={new Client()} />, at);
