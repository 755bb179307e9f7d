/** How positions are rotated, as Hugging Face's configurations say it: newer files keep it in `rope_parameters`. */
import type { Checkpoint } from "./checkpoint.ts";
import { ConfigFields } from "./config-fields.ts";

/** In which share of a head positions are rotated, and from which base the angles follow. */
export interface Rope {
  readonly share: number;
  readonly base: number;
}

/** The rotation of a configuration; one that is rescaled is refused. */
export function ropeOf(fields: ConfigFields, checkpoint: Checkpoint, share: number): Rope {
  const scaling = fields.get("rope_scaling");
  const nested = fields.get("rope_parameters");
  const type = (rope: unknown): unknown => {
    const { rope_type, type: older } = rope as Readonly<Record<string, unknown>>;
    return rope_type ?? older ?? "default";
  };
  for (const [name, rope] of Object.entries({ rope_scaling: scaling, rope_parameters: nested })) {
    if (rope === undefined) continue;
    if (typeof rope !== "object" || type(rope) !== "default") {
      throw fields.wrong(name, "rescaled rotations are not supported.", 'rope_type "default"');
    }
  }
  const rope = nested === undefined ? fields : new ConfigFields(nested, checkpoint.source, "rope_parameters");
  return {
    share: rope.numberAt(
      "partial_rotary_factor",
      fields.numberAt("rotary_pct", fields.numberAt("partial_rotary_factor", share)),
    ),
    base: rope.numberAt("rope_theta", fields.number("rotary_base", 10000)),
  };
}
