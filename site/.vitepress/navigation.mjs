/** What leads where: the bar at the top, and the lists at the side. */

/** The bar at the top. */
export const navigation = () => [
  { text: "Guide", link: "/guide/", activeMatch: "/guide/" },
  { text: "By task", link: "/tasks" },
  { text: "Reference", link: "/reference/", activeMatch: "/reference/" },
  { text: "Gallery", link: "/gallery" },
  { text: "Playground", link: "/playground/", target: "_self" },
  {
    text: "Maps and notes",
    items: [
      {
        text: "From elsewhere",
        items: [
          { text: "The paper, claim by claim", link: "/paper-map" },
          { text: "ARENA, exercise by exercise", link: "/arena-map" },
        ],
      },
      { text: "Notes", items: NOTES },
    ],
  },
];

const NOTES = [
  { text: "Conventions", link: "/conventions" },
  { text: "Figures in pages", link: "/figures-in-pages" },
  { text: "Sweeps past one machine", link: "/sweeps" },
  { text: "Formats", link: "/formats" },
  { text: "Identities", link: "/identities" },
  { text: "Composition", link: "/composition" },
  { text: "Numerics", link: "/numerics" },
  { text: "Performance", link: "/performance" },
  { text: "Architecture", link: "/architecture" },
  { text: "Changes", link: "/changelog" },
];

/** The lists at the side, by the part of the site that they belong to. */
export function sidebar({ chapters, reference }) {
  const notes = [
    { text: "By task", link: "/tasks" },
    {
      text: "From elsewhere",
      items: [
        { text: "The paper, claim by claim", link: "/paper-map" },
        { text: "ARENA, exercise by exercise", link: "/arena-map" },
      ],
    },
    { text: "Notes", items: NOTES },
    { text: "Examples", items: chapters.examples ?? [] },
  ];
  return {
    "/guide/": [{ text: "Guide", items: chapters.guide ?? [] }],
    ...reference,
    "/gallery": [],
    "/": notes,
  };
}
