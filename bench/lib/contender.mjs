/** A contender's process, as the bench sees it: started, asked, ended. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../contenders/", import.meta.url));

/**
 * The contenders by id: the name that tables print, and how to start one.
 *
 * @param {string} python the interpreter that is asked for torch and TransformerLens
 */
export function contenderKinds(python) {
  const script = (name, options = {}) => [process.execPath, `${folder}serve.mjs`, name, JSON.stringify(options)];
  return {
    ceiling: { label: "ceiling", command: script("ceiling") },
    ours: { label: "ours", command: script("ours") },
    tfjs: { label: "tfjs-wasm", command: script("tfjs") },
    ort: { label: "onnxruntime-web", command: script("ort") },
    jax: { label: "jax-js", command: script("jax") },
    "ml-matrix": { label: "ml-matrix", command: script("ml-matrix") },
    torch: { label: "torch", command: [python, `${folder}pytorch.py`, JSON.stringify({ threads: 1 })] },
    "transformer-lens": {
      label: "TransformerLens",
      command: [python, `${folder}transformerlens.py`, JSON.stringify({ threads: 1 })],
    },
    "one-thread": { label: "one thread", command: script("ours", { threads: 1 }), unpinned: true },
    "two-threads": { label: "two threads", command: script("ours", { threads: 2 }), unpinned: true },
    "one-thread-ceiling": { label: "one thread's ceiling", command: script("ceiling", { threads: 1 }), unpinned: true },
    "two-thread-ceiling": { label: "two threads' ceiling", command: script("ceiling", { threads: 2 }), unpinned: true },
  };
}

/** How much of what a contender writes to standard error is kept for the message when it ends early. */
const KEPT_ERRORS = 2000;

export class Contender {
  #child;
  #waiting = [];
  #errors = "";
  #ended = "";

  /**
   * @param {string} id
   * @param {{ label: string, command: string[] }} kind
   * @param {readonly string[]} prefix what pins the process to a core, or nothing
   */
  constructor(id, { label, command }, prefix) {
    this.id = id;
    this.label = label;
    this.versions = {};
    const [program, ...args] = [...prefix, ...command];
    this.#child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe", "pipe"] });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#errors = (this.#errors + text).slice(-KEPT_ERRORS);
    });
    createInterface({ input: this.#child.stdio[3] }).on("line", (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line)),
    );
    this.#child.stdin.on("error", () => undefined);
    this.#child.on("error", ({ message }) => this.#end(message));
    this.#child.on("close", (code, signal) => {
      const lastLine = this.#errors.trim().split("\n").at(-1) ?? "";
      this.#end(`its process ended (${signal ?? `status ${code}`})${lastLine === "" ? "" : `: ${lastLine}`}`);
    });
  }

  #end(reason) {
    this.#ended ||= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(this.#ended));
  }

  /** The answer to one command. */
  async ask(command, args = {}) {
    if (this.#ended !== "") throw new Error(this.#ended);
    const answer = await new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ command, ...args })}\n`);
    });
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  /** Starts the package; true when it is there. Why not is in `absence`. */
  async open() {
    try {
      const { versions } = await this.ask("open");
      this.versions = versions;
      return true;
    } catch (error) {
      this.absence = error.message;
      return false;
    }
  }

  close() {
    this.#child.stdin.end(`${JSON.stringify({ command: "exit" })}\n`);
    this.#child.unref();
  }
}
