/** What heads/ lends to the other folders of src/ and is no part of the package. */
export { studentQuantile } from "./scores/student.ts";
