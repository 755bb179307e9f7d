/** The command line of the bench. */
import { parseArgs } from "node:util";

export const usage = `npm run bench -- [options]
  --only WORDS      groups or cases whose id or name contains one of these (comma between them)
  --quick           fewer and shorter samples
  --json FILE       the whole run as JSON
  --markdown        writes the tables into docs/performance.md
  --node24          the same under Node 24, by npx
  --python PROGRAM  the Python that is asked for torch and TransformerLens (python3)
  --core N          the core that single-thread contenders are pinned to (0)
  --help`;

/**
 * @param {readonly string[]} args
 */
export function parseOptions(args) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      markdown: { type: "boolean", default: false },
      node24: { type: "boolean", default: false },
      python: { type: "string", default: "python3" },
      core: { type: "string", default: "0" },
      help: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    only: values.only
      .split(",")
      .map((word) => word.trim())
      .filter((word) => word !== ""),
  };
}

/**
 * The command as somebody else would give it: without the options that name this machine's files.
 *
 * @param {readonly string[]} args
 * @returns {string}
 */
export function commandText(args) {
  const kept = args.filter(
    (arg, i) => !/^--(python|json)(=|$)/.test(arg) && !/^--(python|json)$/.test(args[i - 1] ?? ""),
  );
  const quoted = kept.map((arg) => (/^[\w,.=:/-]+$/.test(arg) ? arg : JSON.stringify(arg)));
  return ["npm run bench", ...(quoted.length > 0 ? ["--", ...quoted] : [])].join(" ");
}
