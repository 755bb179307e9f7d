/** A text as a regular expression takes it to the letter. */
export const inPattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
