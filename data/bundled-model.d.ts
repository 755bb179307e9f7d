/** The configuration, as the JSON text of `config.json`. */
export declare const config: string;
/** The tokenizer, as the JSON text of `tokenizer.json`. */
export declare const tokenizer: string;
/** The weights: a safetensors file in float16, base64 with line breaks. */
export declare const weights: string;
