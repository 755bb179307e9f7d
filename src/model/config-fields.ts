/** What `config-table.ts` says of the fields of one configuration: which are read, and which of them are wrong. */
import { ConfigError } from "../errors.ts";
import { editDistance } from "../nearest.ts";
import { NOTHING, PASSED_OVER_BY_4, PROPERTIES, READ, refusalNamed, refusedFields } from "./config-table.ts";
import type { ConfigDialect, Fields, Names, Refusal } from "./config-table.ts";
import type { ModelConfig } from "./model-config.ts";

/** Properties without which there is no model. */
const REQUIRED = ["n_layers", "n_heads", "d_model", "n_ctx", "d_vocab"] as const;

/** What libraries name differently, by TransformerLens's name. */
export type Property = keyof typeof PROPERTIES;
const properties = Object.entries(PROPERTIES) as [Property, Names][];

/** The names under which a dialect reads a property, the first of which is its own. */
export function namesOf(property: Property, dialect: ConfigDialect): readonly string[] {
  const { names }: Names = PROPERTIES[property];
  return names[dialect] ?? [];
}

/** The property that a field means in another dialect, or in none that is read. */
function propertyOf(field: string, dialect: ConfigDialect): Property | undefined {
  const found = properties.find(
    ([, { names, elsewhere }]) =>
      Object.values(names).some((list) => list.includes(field)) || elsewhere.includes(field),
  );
  return found === undefined || namesOf(found[0], dialect).includes(field) ? undefined : found[0];
}

function refusalOf(field: string, dialect: ConfigDialect): Refusal | undefined {
  if (dialect === "transformer-lens-4" && PASSED_OVER_BY_4.has(field)) return undefined;
  return refusalNamed(field);
}

function isRead(field: string, dialect: ConfigDialect): boolean {
  return READ[dialect].includes(field) || properties.some(([name]) => namesOf(name, dialect).includes(field));
}

/** The fields of a configuration that its library's own model reads. */
export function readFields(fields: Fields, dialect: ConfigDialect): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([field]) => isRead(field, dialect)));
}

/** Null says as little as what is left out. */
function isSaid(fields: Fields, field: string): boolean {
  return Object.hasOwn(fields, field) && fields[field] !== undefined && fields[field] !== null;
}

/** The fields of a configuration that are in no row of the table. */
export function unknownFields(fields: Fields, dialect: ConfigDialect): string[] {
  return Object.keys(fields).filter(
    (field) =>
      isSaid(fields, field) &&
      !isRead(field, dialect) &&
      !NOTHING.has(field) &&
      !PASSED_OVER_BY_4.has(field) &&
      !refusedFields.includes(field) &&
      propertyOf(field, dialect) === undefined,
  );
}

/**
 * Refuses, by name, fields that ask for what is not computed, and fields that were meant to be read but are misspelt or
 * another library's. What other libraries call a property is compared once the model is known: {@link
 * requireAgreement}.
 */
export function requireKnownFields(fields: Fields, dialect: ConfigDialect, operation: string): void {
  for (const field of Object.keys(fields)) {
    const value = fields[field];
    if (!isSaid(fields, field)) continue;
    const refusal = isRead(field, dialect) ? undefined : refusalOf(field, dialect);
    if (refusal !== undefined && !refusal[1](value, fields)) {
      throw wrongField(field, value, undefined, `${refusal[2]} are not supported.`, operation);
    }
    const property = propertyOf(field, dialect);
    const [own] = property === undefined ? [] : namesOf(property, dialect);
    const isNeeded = REQUIRED.some((name) => name === property);
    if (
      property !== undefined &&
      own !== undefined &&
      isNeeded &&
      !namesOf(property, dialect).some((name) => isSaid(fields, name))
    ) {
      throw wrongField(field, value, undefined, `no field of that name is read here. Did you mean ${own}?`, operation);
    }
  }
  for (const field of unknownFields(fields, dialect)) {
    const near = nearest(field, dialect);
    if (near === undefined || JSON.stringify(fields[near]) === JSON.stringify(fields[field])) continue;
    throw wrongField(field, fields[field], undefined, `there is no such field. Did you mean ${near}?`, operation);
  }
}

/**
 * Refuses a property under a second name, mostly another library's, that is not what the model has. The longest prompt
 * and the vocabulary may be said differently: neither is part of the function, and the shapes of the embeddings say how
 * many rows there are.
 */
export function requireAgreement(fields: Fields, dialect: ConfigDialect, config: ModelConfig, operation: string): void {
  for (const [property] of properties) {
    if (property === "d_vocab" || property === "n_ctx") continue;
    const own = namesOf(property, dialect);
    const read = own.find((name) => isSaid(fields, name));
    const isPassedOver = (field: string): boolean => dialect === "transformer-lens-4" && PASSED_OVER_BY_4.has(field);
    for (const field of Object.keys(fields)) {
      if (!isSaid(fields, field) || field === read || isPassedOver(field)) continue;
      if (!own.includes(field) && propertyOf(field, dialect) !== property) continue;
      const had = config[property];
      if (had === undefined || had === fields[field] || (read !== undefined && fields[read] === fields[field]))
        continue;
      const mend = own[0] === undefined ? "Take it out, or correct it." : `The field is called ${own[0]} here.`;
      const why = `the model has ${property}=${JSON.stringify(had)}. ${mend}`;
      throw wrongField(field, fields[field], undefined, why, operation);
    }
  }
}

/** The field that matters and is one or two slips away. */
function nearest(field: string, dialect: ConfigDialect): string | undefined {
  const bare = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const slips = field.length < 5 ? 0 : field.length < 8 ? 1 : 2;
  const own = [...READ[dialect], ...properties.flatMap(([name]) => namesOf(name, dialect))];
  const refused = refusedFields.filter((name) => refusalOf(name, dialect) !== undefined);
  const near = (names: readonly string[]): string | undefined =>
    names.find((name) => bare(name) === bare(field)) ??
    names.find((name) => name.length > 3 && editDistance(bare(name), bare(field)) <= slips);
  return near(own) ?? near(refused);
}

/** The error for a field that is missing, impossible or asks for what is not supported. */
export function wrongField(
  field: string,
  actual: unknown,
  expected: unknown,
  why: string,
  operation: string,
): ConfigError {
  const shown = actual === undefined ? "is missing" : `is ${JSON.stringify(actual)}`;
  const wanted =
    expected === undefined ? "" : ` Expected ${typeof expected === "string" ? expected : JSON.stringify(expected)}.`;
  return new ConfigError(`"${field}" ${shown}: ${why}${wanted}`, { operation, argument: field, expected, actual });
}
