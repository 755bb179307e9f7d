import js from "@eslint/js";
import tseslint from "typescript-eslint";

/** The field's own spellings (W_Q, b_O, d_model, n_heads …) stand beside camelCase. */
const fieldNames =
  "^(W|b|d|n|ln|hook|resid|pos|query|key|attn|rotary|positional|normalization|attention|use|scale|final)(_[A-Za-z0-9]+)+$";

export default tseslint.config(
  {
    ignores: [
      "dist/",
      "data/",
      "site/dist/",
      "site/pages/",
      "site/.vitepress/cache/",
      "coverage/",
      ".tmp/",
      "test/fixtures/",
      "src/*/wasm/assembly/",
    ],
  },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "no-eval": "error",
      "no-new-func": "error",
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Export by name." },
        { selector: "ExportAllDeclaration", message: "List the exported names." },
      ],
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/consistent-type-exports": "error",
      "@typescript-eslint/consistent-type-imports": [
        "error",
        { fixStyle: "inline-type-imports", disallowTypeAnnotations: false },
      ],
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true, allowNullish: true },
      ],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/naming-convention": [
        "error",
        {
          selector: "default",
          format: ["camelCase"],
          leadingUnderscore: "allowSingleOrDouble",
          filter: { regex: fieldNames, match: false },
        },
        {
          selector: "variable",
          format: ["camelCase", "UPPER_CASE"],
          filter: { regex: fieldNames, match: false },
        },
        {
          selector: "parameter",
          format: ["camelCase", "UPPER_CASE"],
          leadingUnderscore: "allowSingleOrDouble",
          filter: { regex: fieldNames, match: false },
        },
        // A filter outranks a modifier, so that these need one too.
        { selector: "variable", modifiers: ["destructured"], format: null, filter: { regex: "", match: true } },
        { selector: "parameter", modifiers: ["destructured"], format: null, filter: { regex: "", match: true } },
        { selector: "typeLike", format: ["PascalCase"] },
        { selector: "import", format: null },
        // Keys follow the formats they are read from and the papers they name; a file's own are reviewed, not linted.
        { selector: ["property", "accessor", "objectLiteralMethod"], format: null },
      ],
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "max-lines-per-function": ["error", { max: 80, skipBlankLines: true, skipComments: true }],
      // Comments above all: Prettier holds the code. A formula's line and an example's output stay whole.
      "max-len": [
        "error",
        {
          code: 120,
          ignorePattern: String.raw`^\s*\* (\$\$|\\|// )`,
          ignoreUrls: true,
          ignoreStrings: true,
          ignoreTemplateLiterals: true,
          ignoreRegExpLiterals: true,
        },
      ],
    },
  },
  {
    // Modules in base64.
    files: ["src/*/wasm/*binaries.ts", "src/*/wasm/binary.ts"],
    rules: { "max-len": "off" },
  },
  {
    files: ["src/kernels/**/*.ts", "src/linalg/**/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  {
    files: ["src/cli.ts", "src/cli/**/*.ts", "examples/**/*.ts", "scripts/**", "site/**", "bench/**", "test/**"],
    rules: { "no-console": "off" },
  },
  {
    // Components are functions whose names begin with a capital.
    files: ["**/*.tsx"],
    rules: {
      "@typescript-eslint/naming-convention": [
        "error",
        { selector: "function", format: ["camelCase", "PascalCase"] },
        { selector: "typeLike", format: ["PascalCase"] },
      ],
    },
  },
  {
    files: ["site/.vitepress/theme/**"],
    languageOptions: { globals: { document: "readonly" } },
  },
  {
    files: ["bench/**"],
    languageOptions: { globals: { WebAssembly: "readonly" } },
  },
  {
    // A test may widen a type to hand over what the compiler would refuse, shorten a static method's name, and look for
    // control characters in output.
    files: ["test/**"],
    rules: {
      "@typescript-eslint/no-unnecessary-type-assertion": "off",
      "@typescript-eslint/unbound-method": "off",
      "no-control-regex": "off",
    },
  },
  {
    files: ["**/*.config.{ts,js,mjs}", "site/.vitepress/**", "test/support/{count-reporter,everything}.ts"],
    rules: { "no-restricted-syntax": "off" },
  },
  {
    files: ["**/*.{js,mjs}"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: {
        Buffer: "readonly",
        console: "readonly",
        process: "readonly",
        URL: "readonly",
        WebAssembly: "readonly",
        performance: "readonly",
      },
    },
    rules: { "@typescript-eslint/explicit-module-boundary-types": "off" },
  },
);
