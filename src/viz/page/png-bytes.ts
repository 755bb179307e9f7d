/** Drawings as PNG: by the page's canvas, elsewhere by `@resvg/resvg-js`, an optional peer dependency. */
import { InputError } from "../../errors.ts";

/**
 * How {@link Figure.png} draws.
 * @category Figures
 */
export interface PngOptions {
  /** Pixels of the image for one of the drawing; 2 unless given. */
  readonly scale?: number;
  /** Which of the two palettes; the light one unless given. */
  readonly scheme?: "light" | "dark";
}

/** A drawing of one scheme, with its size in pixels of the drawing. */
export interface Drawing {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
  readonly scale: number;
}

/** As much of a page as is used here. */
interface PageCanvas {
  width: number;
  height: number;
  getContext(kind: "2d"): { drawImage(image: unknown, ...box: number[]): void } | null;
  toBlob(done: (blob: { arrayBuffer(): Promise<ArrayBuffer> } | null) => void, type: string): void;
}

interface Page {
  readonly document?: { createElement(name: "canvas"): PageCanvas };
  readonly Image?: new () => { src: string; decode(): Promise<void> };
}

/** As much of `@resvg/resvg-js` as is used here. */
interface Rasterizer {
  readonly Resvg: new (
    svg: string,
    options: {
      fitTo: { mode: "zoom"; value: number };
      font: { loadSystemFonts: boolean };
    },
  ) => { render(): { asPng(): Uint8Array } };
}

const OPERATION = "png";
const PACKAGE = "@resvg/resvg-js";

/** The bytes of a PNG file. */
export async function pngBytes(drawing: Drawing): Promise<Uint8Array> {
  const easel = easelOfPage();
  return easel === undefined ? rasterized(drawing) : painted(drawing, easel);
}

/** What a page paints with; none where there is no page, or one that cannot paint. */
interface Easel {
  readonly canvas: PageCanvas;
  readonly Image: NonNullable<Page["Image"]>;
}

function easelOfPage(): Easel | undefined {
  const { document, Image } = globalThis as Page;
  if (document === undefined || Image === undefined) return undefined;
  const canvas = document.createElement("canvas");
  return typeof canvas.getContext === "function" && canvas.getContext("2d") !== null ? { canvas, Image } : undefined;
}

async function painted({ svg, width, height, scale }: Drawing, { canvas, Image }: Easel): Promise<Uint8Array> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode().catch((cause: unknown) => {
    throw new InputError(
      "the page does not show the drawing as an image. Let its content-security policy have img-src data:.",
      { operation: OPERATION, expected: "img-src data:" },
      { cause },
    );
  });
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>((done) => {
    canvas.toBlob(done, "image/png");
  });
  if (blob === null) throw tooLarge(canvas.width, canvas.height);
  return new Uint8Array(await blob.arrayBuffer());
}

async function rasterized({ svg, width, height, scale }: Drawing): Promise<Uint8Array> {
  // by a variable, so that bundlers of pages do not look for a package that pages do not need
  const name: string = PACKAGE;
  const { Resvg } = await (import(/* @vite-ignore */ name) as Promise<Rasterizer>).catch((cause: unknown) => {
    throw new InputError(
      `PNG outside a page needs the package ${PACKAGE}, which is not installed. It is optional: npm install ${PACKAGE}.`,
      { operation: OPERATION, expected: PACKAGE },
      { cause },
    );
  });
  try {
    const options = { fitTo: { mode: "zoom", value: scale }, font: { loadSystemFonts: true } } as const;
    return new Uint8Array(new Resvg(svg, options).render().asPng());
  } catch {
    throw tooLarge(Math.round(width * scale), Math.round(height * scale));
  }
}

function tooLarge(width: number, height: number): InputError {
  return new InputError(`an image of ${width} by ${height} pixels cannot be made here. Give a smaller scale.`, {
    operation: OPERATION,
    argument: "scale",
    actual: [width, height],
  });
}
