export { convert } from "./convert.ts";
export type { ConvertCommandOptions } from "./convert.ts";
export { figure, serveFigure } from "./figure.ts";
export type { FigureCommandOptions, FigureJob } from "./figure.ts";
export { inspect } from "./inspect.ts";
export type { InspectCommandOptions } from "./inspect.ts";
export { report, serveReport } from "./report.ts";
export type { ReportCommandOptions, ReportJob } from "./report.ts";
export { runCommand } from "./run.ts";
